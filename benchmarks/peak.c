/* The most that one core can multiply and add: twelve independent chains of vectors, long enough to hide the latency. */

#ifdef __AVX512F__
#define N_BYTES 64
#else
#define N_BYTES 32
#endif
#define N_CHAINS 12

typedef float vector __attribute__((vector_size(N_BYTES)));

/* Multiplies and adds `n` times in each number of each chain. Returns the floating-point operations done. */
double multiply_add(long n, float *out)
{
    vector a[N_CHAINS], factor = {0}, term = {0};
    factor += out[0], term += out[1];
    for (int i = 0; i < N_CHAINS; i++) a[i] = term * (float)i;
    for (long k = 0; k < n; k++)
        for (int i = 0; i < N_CHAINS; i++) a[i] = a[i] * factor + term;
    vector sum = {0};
    for (int i = 0; i < N_CHAINS; i++) sum += a[i];
    out[0] = sum[0];
    return 2.0 * n * N_CHAINS * (N_BYTES / sizeof(float));
}

/* The network of scrnn_stream/_kernels.py in plain C: loops and `restrict`, for the compiler to vectorise.

   The same work in the same order: sigmoid units, squared loss, learned decays, RMSprop, float32, steps of one (dt = 1);
   four rows, or four steps, at a time where that saves fetching a sum again. Not in it: missing values and the check for
   overflow. Matrices lie row after row; theta = W (H, H + C + D + 1), B' (D, C), m (C), U (Y, H), V (Y, C), c (Y). */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TINY 1e-30f
#define FORGETTING 0.99f
#define FLOOR 1e-16f
#define LARGEST_LOGIT 15.0f
#define LARGEST_WEIGHT 1e9f

typedef struct {
    float *W, *B, *m, *U, *V, *c;
} parameters;

typedef struct {
    int D, H, C, Y, K, n_inputs, n_row, n_theta; /* n_inputs = H + C + D + 1: length of u_t; n_row: of a row of the tape */
    int now, n_stored;
    long n_learned, n_steps; /* n_steps: backward steps of the hidden units in all */
    float lr, clip, early_stop;
    float *theta, *v, *g, *tape, *T, *E; /* row t of the tape: h_(t-1), s_t, x_t, gain_t, e_t */
    float *dz, *ds, *du, *edge, *h, *u, *e, *gain, *dy;
} scrn;

/* ------------------------------------------------------------------------------------------------------- products */

/* out += W v, W (I, J) */
static void add_product(float *restrict out, const float *restrict W, const float *restrict v, int I, int J)
{
    int i = 0;
    for (; i + 4 <= I; i += 4) {
        const float *w0 = W + (size_t)i * J, *w1 = w0 + J, *w2 = w1 + J, *w3 = w2 + J;
        float y0 = 0, y1 = 0, y2 = 0, y3 = 0;
        for (int j = 0; j < J; j++) {
            y0 += w0[j] * v[j];
            y1 += w1[j] * v[j];
            y2 += w2[j] * v[j];
            y3 += w3[j] * v[j];
        }
        out[i] += y0, out[i + 1] += y1, out[i + 2] += y2, out[i + 3] += y3;
    }
    for (; i < I; i++) {
        float y = 0;
        for (int j = 0; j < J; j++) y += W[(size_t)i * J + j] * v[j];
        out[i] += y;
    }
}

/* out = W' v, of the first J columns of W; the rows of W lie n_row apart */
static void transposed_product(float *restrict out, const float *restrict W, const float *restrict v, int I, int J,
                               int n_row)
{
    int i = 0;
    memset(out, 0, J * sizeof(float));
    for (; i + 4 <= I; i += 4) {
        const float *w0 = W + (size_t)i * n_row, *w1 = w0 + n_row, *w2 = w1 + n_row, *w3 = w2 + n_row;
        float v0 = v[i], v1 = v[i + 1], v2 = v[i + 2], v3 = v[i + 3];
        for (int j = 0; j < J; j++) out[j] += v0 * w0[j] + v1 * w1[j] + v2 * w2[j] + v3 * w3[j];
    }
    for (; i < I; i++)
        for (int j = 0; j < J; j++) out[j] += v[i] * W[(size_t)i * n_row + j];
}

/* G (I, J) = sum of d_t u_t' over n steps; the rows of ds and of us lie n_d and n_u apart */
static void window_product(float *restrict G, const float *restrict ds, const float *restrict us, int I, int J, int n_d,
                           int n_u, int n)
{
    int t = 0;
    memset(G, 0, (size_t)I * J * sizeof(float));
    for (; t + 4 <= n; t += 4) {
        const float *d = ds + (size_t)t * n_d, *u0 = us + (size_t)t * n_u, *u1 = u0 + n_u, *u2 = u1 + n_u, *u3 = u2 + n_u;
        for (int i = 0; i < I; i++) {
            float *restrict row = G + (size_t)i * J;
            float d0 = d[i], d1 = d[n_d + i], d2 = d[2 * n_d + i], d3 = d[3 * n_d + i];
            for (int j = 0; j < J; j++) row[j] += d0 * u0[j] + d1 * u1[j] + d2 * u2[j] + d3 * u3[j];
        }
    }
    for (; t < n; t++)
        for (int i = 0; i < I; i++)
            for (int j = 0; j < J; j++) G[(size_t)i * J + j] += ds[(size_t)t * n_d + i] * us[(size_t)t * n_u + j];
}

static float flushed(float value) { return fabsf(value) < TINY ? 0.0f : value; }

/* -------------------------------------------------------------------------------------------------------- forward */

static parameters views(const scrn *net, float *theta)
{
    parameters p;
    p.W = theta;
    p.B = p.W + (size_t)net->n_inputs * net->H;
    p.m = p.B + (size_t)net->D * net->C;
    p.U = p.m + net->C;
    p.V = p.U + (size_t)net->Y * net->H;
    p.c = p.V + (size_t)net->Y * net->C;
    return p;
}

/* s_t = keep s_(t-1) + gain B x_t, e_t = ds_t/dm where s_(t-1) is fixed; h_t = sigmoid(W u_t), u_t = (h, s, x, 1) */
static void forward(const scrn *net, float *restrict h, float *restrict u, float *restrict gain, float *restrict e,
                    const float *restrict s_before)
{
    int D = net->D, H = net->H, C = net->C;
    parameters p = views(net, net->theta);
    float *restrict s = u + H;
    transposed_product(s, p.B, u + H + C, D, C, C);
    for (int k = 0; k < C; k++) {
        float a = expf(-p.m[k]), keep = 1 / (1 + a);
        gain[k] = a * keep;
        e[k] = keep * gain[k] * (s_before[k] - s[k]);
        s[k] = flushed(keep * s_before[k] + gain[k] * s[k]);
    }
    u[net->n_inputs - 1] = 1;
    memset(h, 0, H * sizeof(float));
    add_product(h, p.W, u, H, net->n_inputs);
    for (int i = 0; i < H; i++) h[i] = 1 / (1 + expf(-h[i]));
}

static void readout(const scrn *net, float *restrict y, const float *restrict h, const float *restrict s)
{
    parameters p = views(net, net->theta);
    memcpy(y, p.c, net->Y * sizeof(float));
    add_product(y, p.U, h, net->Y, net->H);
    add_product(y, p.V, s, net->Y, net->C);
}

/* T = keep T + gain x, E = keep E + e, of the step that leaves the window */
static void leave_window(scrn *net, const float *restrict row)
{
    int C = net->C;
    const float *restrict x = row + net->H + C, *restrict gain = x + net->D + 1, *restrict e = gain + C;
    float *restrict T = net->T, *restrict E = net->E;
    for (int k = 0; k < C; k++) E[k] = flushed((1 - gain[k]) * E[k] + e[k]);
    for (int j = 0; j < net->D; j++)
        for (int k = 0; k < C; k++) T[j * C + k] = flushed((1 - gain[k]) * T[j * C + k] + gain[k] * x[j]);
}

static float *row_of(const scrn *net, int t) { return net->tape + (size_t)t * net->n_row; }

static void step(scrn *net, const float *restrict x)
{
    int H = net->H, K = net->K;
    if (net->n_stored == K) leave_window(net, row_of(net, net->now - K + 1));
    if (net->now + 3 > 2 * K + 2) { /* the tape is full: its end becomes its beginning */
        memmove(net->tape, row_of(net, net->now - K + 1), (K + 1) * net->n_row * sizeof(float));
        net->now = K - 1;
    }
    float *u = row_of(net, ++net->now), *gain = u + net->n_inputs;
    memcpy(u + H + net->C, x, net->D * sizeof(float));
    forward(net, u + net->n_row, u, gain, gain + net->C, u - net->n_row + H);
    if (net->n_stored < K) net->n_stored++;
}

/* ------------------------------------------------------------------------------------------------------- backward */

/* dU = dy h', dV = dy s', dc = dy; dh = U' dy, ds = V' dy */
static void readout_backward(scrn *net, const float *restrict h, const float *restrict s)
{
    int H = net->H, C = net->C;
    parameters p = views(net, net->theta), d = views(net, net->g);
    const float *restrict dy = net->dy;
    for (int i = 0; i < net->Y; i++) {
        for (int j = 0; j < H; j++) d.U[i * H + j] = dy[i] * h[j];
        for (int j = 0; j < C; j++) d.V[i * C + j] = dy[i] * s[j];
        d.c[i] = dy[i];
    }
    transposed_product(net->du, p.U, dy, net->Y, H, H);
    transposed_product(net->ds + (size_t)(net->K - 1) * C, p.V, dy, net->Y, C, C);
}

/* dz_t = dh_t f'(z_t), (dh_(t-1), ds_t) = (R P)' dz_t, into the past until the error has faded; the number of steps */
static int hidden_backward(scrn *net)
{
    int H = net->H, C = net->C, K = net->K;
    parameters p = views(net, net->theta);
    float *restrict du = net->du, start = 0;
    for (int t = 0; t < net->n_stored; t++) {
        float *restrict dz = net->dz + (size_t)(K - 1 - t) * H, *restrict ds = net->ds + (size_t)(K - 1 - t) * C;
        float strength = 0;
        const float *restrict h = row_of(net, net->now + 1 - t);
        for (int i = 0; i < H; i++) {
            dz[i] = du[i] * (h[i] * (1 - h[i]));
            strength += fabsf(dz[i]);
        }
        if (t == 0)
            start = strength;
        else if (strength <= fmaxf(net->early_stop * start, TINY))
            return t;
        transposed_product(du, p.W, dz, H, H + C, net->n_inputs);
        for (int k = 0; k < C; k++) ds[k] += du[H + k];
    }
    return net->n_stored;
}

/* ds_t += keep_(t+1) ds_(t+1) to the edge of the window; dB' = sum x_t (gain_t ds_t)' + T keep ds, dm = sum ds_t e_t +
   E keep ds */
static void context_backward(scrn *net)
{
    int H = net->H, C = net->C, K = net->K, n = net->n_stored;
    parameters d = views(net, net->g);
    float *restrict edge = net->edge, *restrict dm = d.m, *restrict dB = d.B;
    const float *restrict T = net->T, *restrict E = net->E;
    memset(edge, 0, C * sizeof(float));
    memset(dm, 0, C * sizeof(float));
    for (int t = 0; t < n; t++) {
        const float *restrict gain = row_of(net, net->now - t) + net->n_inputs, *restrict e = gain + C;
        float *restrict ds = net->ds + (size_t)(K - 1 - t) * C;
        for (int k = 0; k < C; k++) {
            float total = flushed(ds[k] + edge[k]);
            edge[k] = (1 - gain[k]) * total;
            dm[k] += total * e[k];
            ds[k] = gain[k] * total;
        }
    }
    const float *xs = row_of(net, net->now - n + 1) + H + C;
    window_product(dB, xs, net->ds + (size_t)(K - n) * C, net->D, C, net->n_row, C, n);
    for (int k = 0; k < C; k++) dm[k] += edge[k] * E[k];
    for (int j = 0; j < net->D; j++)
        for (int k = 0; k < C; k++) dB[j * C + k] += edge[k] * T[j * C + k];
}

static float gradient(scrn *net, float *restrict y, const float *restrict target)
{
    int H = net->H, K = net->K;
    parameters d = views(net, net->g);
    const float *h = row_of(net, net->now + 1), *s = row_of(net, net->now) + H;
    float loss = 0;
    readout(net, y, h, s);
    for (int i = 0; i < net->Y; i++) {
        float error = y[i] - target[i];
        loss += 0.5f * error * error;
        net->dy[i] = error / net->Y;
    }
    memset(net->ds, 0, (size_t)K * net->C * sizeof(float));
    readout_backward(net, h, s);
    int n = hidden_backward(net);
    const float *restrict dz = net->dz + (size_t)(K - n) * H;
    window_product(d.W, dz, row_of(net, net->now - n + 1), H, net->n_inputs, H, net->n_row, n);
    context_backward(net);
    net->n_steps += n;
    return loss / net->Y;
}

/* v = q v + (1 - q) g^2, theta -= lr g / sqrt(v), with g shortened to `clip` */
static void update(scrn *net)
{
    float *restrict theta = net->theta, *restrict v = net->v, norm = 0;
    const float *restrict g = net->g;
    int n = net->n_theta;
    for (int i = 0; i < n; i++) norm += g[i] * g[i];
    norm = sqrtf(norm);
    net->n_learned++;
    float scale = norm > net->clip ? net->clip / norm : 1, q = fminf(FORGETTING, 1 - 1.0f / net->n_learned), p = 1 - q;
    for (int i = 0; i < n; i++) {
        float gi = scale * g[i];
        v[i] = q * v[i] + p * (gi * gi + FLOOR);
        theta[i] = fminf(fmaxf(theta[i] - net->lr * gi / sqrtf(v[i]), -LARGEST_WEIGHT), LARGEST_WEIGHT);
    }
    float *m = views(net, theta).m;
    for (int k = 0; k < net->C; k++) m[k] = fminf(fmaxf(m[k], -LARGEST_LOGIT), LARGEST_LOGIT);
}

/* ------------------------------------------------------------------------------------------------ from outside */

static float *numbers(size_t n)
{
    size_t n_bytes = (n * sizeof(float) + 127) / 64 * 64;
    return memset(aligned_alloc(64, n_bytes), 0, n_bytes);
}

scrn *scrn_new(int D, int H, int C, int Y, int K, float lr, float clip, float early_stop, const float *theta)
{
    scrn *net = calloc(1, sizeof(scrn));
    net->D = D, net->H = H, net->C = C, net->Y = Y, net->K = K;
    net->lr = lr, net->clip = clip, net->early_stop = early_stop;
    net->n_inputs = H + C + D + 1, net->n_row = H + 3 * C + D + 1;
    net->n_theta = H * (H + C + D + 1) + C * (D + 1) + Y * (H + C + 1);
    float **vectors[] = {&net->theta, &net->v,  &net->g,    &net->tape, &net->T, &net->E, &net->dz,  &net->ds,
                         &net->du,    &net->edge, &net->h, &net->u,    &net->e, &net->gain, &net->dy};
    size_t lengths[] = {net->n_theta, net->n_theta, net->n_theta, (size_t)(2 * K + 2) * net->n_row, (size_t)D * C, C,
                        (size_t)K * H, (size_t)K * C, H + C, C, H, net->n_inputs, C, C, Y};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) *vectors[i] = numbers(lengths[i]);
    memcpy(net->theta, theta, net->n_theta * sizeof(float));
    return net;
}

void scrn_free(scrn *net)
{
    float *vectors[] = {net->theta, net->v,    net->g, net->tape, net->T, net->E,   net->dz, net->ds,
                        net->du,    net->edge, net->h, net->u,    net->e, net->gain, net->dy};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) free(vectors[i]);
    free(net);
}

/* learn each row of a recording: xs (n, D), targets (n, Y); predictions (n, Y) before the update, losses (n) */
void scrn_learn(scrn *net, float *predictions, double *losses, const float *xs, const float *targets, int n)
{
    for (int i = 0; i < n; i++) {
        step(net, xs + (size_t)i * net->D);
        losses[i] = gradient(net, predictions + (size_t)i * net->Y, targets + (size_t)i * net->Y);
        update(net);
    }
}

/* what it expects at each row of xs, if that came next */
void scrn_predict(scrn *net, float *predictions, const float *xs, int n)
{
    for (int i = 0; i < n; i++) {
        memcpy(net->u, row_of(net, net->now + 1), net->H * sizeof(float));
        memcpy(net->u + net->H + net->C, xs + (size_t)i * net->D, net->D * sizeof(float));
        forward(net, net->h, net->u, net->gain, net->e, row_of(net, net->now) + net->H);
        readout(net, predictions + (size_t)i * net->Y, net->h, net->u + net->H);
    }
}

long scrn_n_steps(const scrn *net) { return net->n_steps; }

long scrn_n_learned(const scrn *net) { return net->n_learned; }

"""What the machines of the chaos run send: readings with faults in them, and poison in between, by a seed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from kafka import KafkaProducer

from scrnn_stream.simulate import MONDAY

SENSORS = ("flow", "pressure", "temperature", "vibration")
CENTRES, SWINGS, NOISES = np.array([[80.0, 6.0, 45.0, 2.0], [8.0, 0.5, 3.0, 0.3], [0.8, 0.05, 0.3, 0.05]])
HIGHEST_PRESSURE = 9.0  # the limit that the workers are given; calm stays below it
STEP_S = 300.0  # of event time: an outage of seconds is no silence of machines
READINGS_PER_S = 160  # of all machines, by the wall clock
P_POISON = 0.005
FAULTS = {"beyond": 6, "shift": 12, "stuck": 60, "mute": 60}  # ticks that each lasts
CALM = (40, 120)  # ticks between two faults of a machine
POISON = (
    b"{junk",
    b"",
    b"[1, 2]",
    b'{"flow": "much"}',
    b"\xff\xfe",
    b'{"timestamp": "2026-01-01T00:00:00Z", "flow": 1}',
)


class Message(NamedTuple):
    key: bytes
    value: bytes


class Machine:
    """Four sensors that follow one load; one thing after another goes wrong with it."""

    def __init__(self, name: str, rng: np.random.Generator) -> None:
        self.name, self.rng = name, rng
        self.phase, self.load = rng.uniform(0, 2 * np.pi), 0.0
        self.fault, self.until = "", int(rng.integers(*CALM))
        self.last: dict[str, float | None] = {}

    def read(self, tick: int) -> dict[str, float | None]:
        """What its sensors say."""
        if tick >= self.until:
            self.fault = "" if self.fault else str(self.rng.choice(list(FAULTS)))
            self.until = tick + (FAULTS[self.fault] if self.fault else int(self.rng.integers(*CALM)))
        self.load = 0.8 * self.load + 0.3 * self.rng.standard_normal()
        load = np.sin(tick / 25 + self.phase) + self.load
        noise = self.rng.standard_normal(len(SENSORS))
        values = np.round(CENTRES + SWINGS * load + NOISES * noise, 3).tolist()
        self.last = self._broken(dict(zip(SENSORS, values, strict=True)))
        return self.last

    def _broken(self, values: dict[str, float | None]) -> dict[str, float | None]:
        match self.fault:
            case "beyond":
                values["pressure"] = 12.0
            case "shift":
                values["flow"] = 140.0 + self.rng.standard_normal()
            case "stuck":
                values["temperature"] = self.last["temperature"]
            case "mute":
                values["vibration"] = None
        return values


def messages(n_machines: int, seed: int) -> Iterator[list[Message]]:
    """What is sent at each tick, for ever: a reading of each machine; among them poison and repetitions."""
    rng, *seeds = np.random.default_rng(seed).spawn(n_machines + 1)
    machines = [Machine(f"machine-{number}", of_one) for number, of_one in enumerate(seeds)]
    tick = 0
    while True:
        sent: list[Message] = []
        for machine in machines:
            fields: dict[str, Any] = {"machine": machine.name, "timestamp": MONDAY + STEP_S * tick}
            reading = Message(machine.name.encode(), json.dumps(fields | machine.read(tick)).encode())
            sent.append(reading)
            if rng.random() < P_POISON:
                sent.append(Message(reading.key, POISON[rng.integers(len(POISON))]))
            if rng.random() < P_POISON:
                sent.append(reading)
        yield sent
        tick += 1


class Feed(threading.Thread):
    """Sends them, in time with the clock or, after an outage, as fast as it can, until it is told to stop."""

    def __init__(self, address: str, topic: str, n_machines: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.topic, self.n_machines = topic, n_machines
        self.n_sent = self.n_failed = 0
        self.messages = messages(n_machines, seed)
        self._producer = KafkaProducer(bootstrap_servers=address.split(","), linger_ms=20, reconnect_backoff_max_ms=500)
        self._is_over = threading.Event()

    def run(self) -> None:
        start, tick_s = time.monotonic(), self.n_machines / READINGS_PER_S
        for tick, sent in enumerate(self.messages):
            if self._is_over.wait(max(0.0, start + tick * tick_s - time.monotonic())):
                break
            for message in sent:
                self._producer.send(self.topic, message.value, key=message.key).add_errback(self._note_failure)
            self.n_sent += len(sent)

    def stop(self) -> None:
        """Return when all that was sent has arrived."""
        self._is_over.set()
        self.join()
        self._producer.flush()
        self._producer.close()

    def _note_failure(self, _: BaseException) -> None:
        self.n_failed += 1

"""Learns each machine's normal behaviour from its sensor stream and raises an alert when the machine departs from it."""

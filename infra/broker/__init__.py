"""The broker: bucket notifications, the outbox and the clock in; signed CloudEvents delivered to functions out."""

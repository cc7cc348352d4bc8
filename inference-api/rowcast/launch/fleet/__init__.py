"""Which builds are loaded: `fleet` decides; `member`, `room` and `actions` are its parts."""

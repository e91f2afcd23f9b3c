"""The market's arithmetic, in plain Python: sessions, candles, checksums and simulated prices."""

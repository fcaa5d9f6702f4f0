"""What bench/compare and bench/report are made of."""

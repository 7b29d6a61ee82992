"""EC2's loops: what is stored, made real by the host driver."""

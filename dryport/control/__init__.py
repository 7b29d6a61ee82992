"""What every control loop is made of: the clock, and the keyed, level-triggered controller."""

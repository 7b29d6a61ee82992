"""Classic load balancers: ELB's API of 2012-06-01. Rows, interfaces, doorway and loops are those of the other ones."""

"""Client connections: accepting, bounding and closing them."""

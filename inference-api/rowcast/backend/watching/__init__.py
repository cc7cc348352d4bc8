"""What a backend shows of its rows while a frontend watches them."""

"""The families of the shop: `flask jobs new` writes them."""

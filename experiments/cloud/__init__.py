"""How experiments on Google Cloud find what they may touch, call its interfaces, and remember what they did."""

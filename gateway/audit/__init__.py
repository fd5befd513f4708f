"""Who may do what, who did what, when and why, and proof that nobody hid it."""

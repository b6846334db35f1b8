"""How good a schedule could be: the clairvoyant optimum, and lower bounds on Req_q."""

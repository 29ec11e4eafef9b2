"""Connections: to EC2 and Kubernetes, nothing late, and what is silent is left; and from anybody.

    dial          which address, and how long one that is silent costs
    connection    the fence in front of the bytes, and silence behind them
    pool          which connection a call takes
    listen        who connects to the agent, and for how long

The one edge that other edges use.
"""

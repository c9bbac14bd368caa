"""Failover and QoS test-bed for IP telephony."""

__version__ = "0.1.0"

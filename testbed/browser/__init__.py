"""What a phone does with phone services, sans-IO: reads objects, shows them, takes keys, says what to fetch."""

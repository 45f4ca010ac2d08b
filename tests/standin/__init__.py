"""Stand-ins for what cannot be had where the tests run; they prove nothing about the real thing."""

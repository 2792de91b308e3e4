"""Throughput: kernels, trainings and metrics, each beside a ceiling of the machine or the usual way to do it."""

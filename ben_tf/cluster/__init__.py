"""Runs tasks on a cluster with Apache Beam."""

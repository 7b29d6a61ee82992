"""Elastic Load Balancing. So far its data plane's pure part: ``dataplane`` (a balancer's plan, as HAProxy has it)."""

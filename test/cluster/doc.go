// Package cluster tests several replicas that deliver from one cluster of NATS servers, while servers and replicas die.
package cluster

// Package dashboard tests that the dashboard in config/monitoring is one by Grafana's own schema. It has no code but tests.
package dashboard

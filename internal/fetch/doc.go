// Package fetch reads the messages that TikTok's webhooks do not hold: of users in the EEA, Switzerland and the UK, a webhook says only that
// somebody wrote. For each such event there is a job (package ingest adds it); the Worker does it by reading the business's conversations, and
// appends what users wrote to the event log as if a webhook had brought it, marked as fetched.
//
// Each message is stored once, whatever repeats: its id is that which its webhook would have, messages that the log has are left out, and the
// log drops what two workers store at the same time. Within a conversation the order is that of the messages' times.
//
// It changes no channel, refreshes no token, and delivers nothing.
package fetch

// The worker reads token Secrets by name.
//
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get

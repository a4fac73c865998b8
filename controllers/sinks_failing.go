package controllers

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// failingPrefix begins the message of SinksResolved while sinks fail; their quoted names follow, up to a full stop. What was told before is read
// from there: it outlives the process, and there is no second copy of it.
const failingPrefix = "These sinks fail all the time: "

// currentSinks are the states of sinks that the channel has.
func currentSinks(ch *v1alpha1.TiktokChannel) []v1alpha1.SinkStatus {
	var current []v1alpha1.SinkStatus
	for _, s := range ch.Status.Sinks {
		for i := range ch.Spec.Sinks {
			if ch.Spec.Sinks[i].Name == s.Name {
				current = append(current, s)
			}
		}
	}
	return current
}

// withFailing adds to SinksResolved which sinks fail, and why. The reason of one that is not resolved, which nobody need wait for, goes first.
func withFailing(c metav1.Condition, ch *v1alpha1.TiktokChannel) metav1.Condition {
	var failing []string
	var why strings.Builder
	for _, s := range currentSinks(ch) {
		if s.State == v1alpha1.SinkFailing {
			failing = append(failing, strconv.Quote(s.Name))
			why.WriteString(" Sink " + strconv.Quote(s.Name) + ": " + s.Message)
		}
	}
	if len(failing) == 0 {
		return c
	}
	told := failingPrefix + strings.Join(failing, ", ") + ". Their events are kept and tried again; status.sinks says since when." + why.String()
	if c.Status == metav1.ConditionFalse {
		c.Message = told + " " + c.Message
		return c
	}
	c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonSinkFailing, told
	return c
}

// announceSinks raises the events of sinks that turned since the condition before.
func (p *pass) announceSinks(before *metav1.Condition) {
	for _, s := range currentSinks(p.ch) {
		switch was := toldFailing(before, s.Name); {
		case s.State == v1alpha1.SinkFailing && !was:
			p.event(corev1.EventTypeWarning, v1alpha1.EventSinkFailing, "Deliver",
				"Sink %q has taken no event for more than a minute. %s Its events are kept and tried again.", s.Name, s.Message)
		case s.State == v1alpha1.SinkHealthy && was:
			p.event(corev1.EventTypeNormal, v1alpha1.EventSinkRecovered, "Deliver", "Sink %q takes events again.", s.Name)
		}
	}
}

// toldFailing says whether a condition names a sink among those that fail.
func toldFailing(c *metav1.Condition, name string) bool {
	if c == nil {
		return false
	}
	names, ok := strings.CutPrefix(c.Message, failingPrefix)
	names, _, _ = strings.Cut(names, ". ")
	return ok && strings.Contains(names, strconv.Quote(name))
}

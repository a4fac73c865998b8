package reservation

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// key names the Lease of a business. Business ids may hold characters that names may not, so a digest stands for it.
func (r *Reservations) key(businessID string) types.NamespacedName {
	sum := sha256.Sum256([]byte(businessID))
	return types.NamespacedName{Namespace: r.opts.Namespace, Name: "tiktok-business-" + hex.EncodeToString(sum[:20])}
}

// assign makes a channel the holder.
func assign(lease *coordinationv1.Lease, ch *v1alpha1.TiktokChannel, now time.Time) {
	metav1.SetMetaDataLabel(&lease.ObjectMeta, v1alpha1.BusinessLabel, "true")
	metav1.SetMetaDataAnnotation(&lease.ObjectMeta, v1alpha1.ChannelUIDAnnotation, string(ch.UID))
	lease.Spec.HolderIdentity = ptr.To(ch.Namespace + "/" + ch.Name)
	lease.Spec.LeaseDurationSeconds = ptr.To(int32(Grace / time.Second))
	lease.Spec.AcquireTime = ptr.To(metav1.NewMicroTime(now))
	renew(lease, now)
}

// renew begins the holder's Grace anew.
func renew(lease *coordinationv1.Lease, now time.Time) {
	lease.Spec.RenewTime = ptr.To(metav1.NewMicroTime(now))
}

// within says whether the holder last asked for the Lease less than d ago. A time that lies further ahead than that is no clock's difference
// and does not count, or it would hold for ever.
func within(lease *coordinationv1.Lease, now time.Time, d time.Duration) bool {
	asked := lease.CreationTimestamp.Time // of a Lease from before these times were kept
	if t := lease.Spec.RenewTime; t != nil {
		asked = t.Time
	}
	return now.Sub(asked).Abs() < d
}

// heldBy goes by the UID: a channel that was made anew under the same name is another one.
func heldBy(lease *coordinationv1.Lease, ch *v1alpha1.TiktokChannel) bool {
	return lease.Annotations[v1alpha1.ChannelUIDAnnotation] == string(ch.UID)
}

func holderOf(lease *coordinationv1.Lease) types.NamespacedName {
	namespace, name, _ := strings.Cut(ptr.Deref(lease.Spec.HolderIdentity, ""), "/")
	return types.NamespacedName{Namespace: namespace, Name: name}
}

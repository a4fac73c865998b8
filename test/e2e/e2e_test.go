package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
	"github.com/tiktok-operator/tiktok-operator/internal/plugin"
)

// Hosts of the URLs of this test.
const (
	publicHost, simulatorHost = "localhost:8080", "localhost:9400"
	privateHost, sinkHost     = "private:443", "sink:80"
)

func TestChartOnARealCluster(t *testing.T) {
	c := open(t)
	t.Log("install the earlier chart")
	c.prepare()
	beside := []string{"--set", "simulator.enabled=true", "--set", "simulator.autoConsent=true"}
	c.install(previous, append(beside, "--set", "manager.replicas=1")...)
	c.run("HELM", "test", "tiktok-operator", "-n", operator, "--timeout", "2m")
	c.forwardAll()
	t.Log("authorize, receive, reply")
	c.create(operator, "tiktok-operator-simulator")
	c.authorize()
	c.say("Hello from a pod")
	conversation := c.hears("Hello from a pod")
	c.reply(conversation, "Hello from the cluster")
	c.plugin("Hello from the cluster")

	t.Log("upgrade while the sink is away: what was stored before is delivered afterwards, and the Secrets and the volume are the same")
	before := c.kept()
	c.scale(team, "sink", 0)
	c.say("Kept over the upgrade")
	c.install(current, append(beside, "--set", "manager.replicas=2", "--set", "logging.level=debug")...)
	c.run("HELM", "test", "tiktok-operator", "-n", operator, "--timeout", "2m")
	c.scale(team, "sink", 1)
	c.forwardAll()
	c.hears("Kept over the upgrade")
	after := c.kept()
	for what, was := range before {
		if after[what] != was {
			t.Errorf("the upgrade changed the %s", what)
		}
	}

	t.Log("drain: the budget holds one manager, and the evicted pods come back")
	c.evict("manager")
	c.evict("webhook")
	c.available()

	t.Log("uninstall: what is dear stays")
	c.remove(&v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "acme"}})
	c.remove(&v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "simulator"}})
	c.run("HELM", "uninstall", "tiktok-operator", "-n", operator, "--wait", "--timeout", "3m")
	definition := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "tiktokchannels." + v1alpha1.GroupVersion.Group}}
	definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	for _, kept := range []client.Object{
		definition,
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "tiktok-operator-webhook-data"}},
	} {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(kept), kept); err != nil {
			t.Errorf("%T is gone with the release: %v", kept, err)
		}
	}
	var roles rbacv1.ClusterRoleList
	if err := c.List(t.Context(), &roles, client.MatchingLabels{"app.kubernetes.io/part-of": "tiktok-operator"}); err != nil || len(roles.Items) > 0 {
		t.Errorf("%d ClusterRoles stayed: %v", len(roles.Items), err)
	}

	t.Log("install again as another release, several replicas on an external NATS: more of them, one less, and all that was said arrives")
	c.external()
	c.release = "messaging"
	c.install(current, append(shared(2), "--take-ownership", "--set", "manager.replicas=2")...)
	c.forwardAll()
	c.create(team, "simulator")
	c.authorize()
	c.say("Hello from two replicas")
	c.hears("Hello from two replicas")
	c.install(current, append(shared(3), "--set", "manager.replicas=2")...)
	c.forwardAll()
	c.say("Hello from three replicas")
	c.evict("webhook")
	c.say("Hello while one is evicted")
	conversation = c.hears("Hello while one is evicted")
	c.hears("Hello from three replicas")
	c.available()
	c.forwardAll()
	c.reply(conversation, "Hello from one of them")
	c.remove(&v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "acme"}})
	c.remove(&v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "simulator"}})
	c.run("HELM", "uninstall", c.release, "-n", operator, "--wait", "--timeout", "3m")
}

// shared are the values of webhook replicas that share an external NATS.
func shared(replicas int) []string {
	return []string{"--set", "eventLog.nats.url=nats://nats." + team + ":4222", "--set", fmt.Sprintf("webhook.replicas=%d", replicas)}
}

// external runs a NATS server, and a simulator of TikTok that reaches the webhook through an ingress.
func (c *cluster) external() {
	c.t.Helper()
	c.apart = true
	c.serve("nats", 4222, 4222, corev1.Container{Name: "nats", Image: image("e2e-nats")})
	c.serve("simulator", 9400, 9400,
		corev1.Container{
			Name: "simulator", Image: image("tiktok-simulator"), Args: []string{"--bind-address=:9400", "--app-id=sim-app", "--auto-consent=true"},
			Env: []corev1.EnvVar{{Name: "TIKTOK_OPERATOR_APP_SECRET", Value: "sim-secret"}},
		},
		corev1.Container{Name: "ingress", Image: image("e2e-ingress"), Args: []string{"tiktok-operator-webhook-public." + operator}},
	)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "simulator"}, StringData: map[string]string{"app_secret": "sim-secret"},
	}
	if err := c.Create(c.t.Context(), secret); err != nil {
		c.t.Fatal(err)
	}
}

// prepare makes the namespaces, and a volume where the cluster cannot make one.
func (c *cluster) prepare() {
	c.t.Helper()
	ctx := c.t.Context()
	c.volume() // first, so that it goes last: a volume stays for as long as it has a claim
	restricted := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	for _, name := range []string{operator, team} {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: restricted}}
		if err := c.Create(ctx, object); err != nil {
			c.t.Fatalf("creating the namespace %s, which must not exist yet: %v", name, err)
		}
		c.t.Cleanup(func() { c.run("KUBECTL", "delete", "namespace", name) })
	}
	c.t.Cleanup(c.forget)
	c.serve("sink", 80, 8080, corev1.Container{Name: "sink", Image: image("e2e-sink")})
}

// volume makes the volume of the event log where the cluster cannot.
func (c *cluster) volume() {
	c.t.Helper()
	if path := os.Getenv("E2E_VOLUME_PATH"); path != "" {
		volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "tiktok-operator-e2e"}, Spec: corev1.PersistentVolumeSpec{
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")},
			AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}},
			ClaimRef:               &corev1.ObjectReference{Namespace: operator, Name: "tiktok-operator-webhook-data"},
		}}
		if err := c.Create(c.t.Context(), volume); err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { c.run("KUBECTL", "delete", "pv", volume.Name) })
	}
}

// forget removes what an uninstalled release leaves in the cluster.
func (c *cluster) forget() {
	c.run("KUBECTL", "delete", "crd", "--ignore-not-found", "tiktokchannels.channels.tiktok-operator.io", "tiktokapps.channels.tiktok-operator.io")
}

// image of this test's own.
func image(name string) string {
	return os.Getenv("E2E_REGISTRY") + "/" + name + ":" + os.Getenv("E2E_VERSION")
}

// serve runs a pod behind a Service in the team's namespace.
func (c *cluster) serve(name string, port, targetPort int32, containers ...corev1.Container) {
	c.t.Helper()
	labels := map[string]string{"app": name}
	no, yes := false, true
	for i := range containers {
		containers[i].ImagePullPolicy = corev1.PullNever
		containers[i].SecurityContext = &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
		containers[i].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	}
	for _, object := range []client.Object{
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: name}, Spec: corev1.ServiceSpec{
			Selector: labels, Ports: []corev1.ServicePort{{Port: port, TargetPort: intstr.FromInt32(targetPort)}},
		}},
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: name}, Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				AutomountServiceAccountToken: &no,
				SecurityContext: &corev1.PodSecurityContext{
					RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
				},
				Containers: containers,
				Volumes:    []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
			}},
		}},
	} {
		if err := c.Create(c.t.Context(), object); err != nil {
			c.t.Fatal(err)
		}
	}
}

// The chart, and an earlier one, which test/chart keeps.
const current, previous = "../../charts/tiktok-operator", "../chart/testdata/previous.tgz"

// install installs a chart, or upgrades to it.
func (c *cluster) install(chart string, args ...string) {
	c.t.Helper()
	c.run("HELM", append([]string{
		"upgrade", "--install", c.release, chart, "-n", operator, "--set", "fullnameOverride=tiktok-operator", "--wait", "--timeout", "4m",
		"--set", "image.registry=" + os.Getenv("E2E_REGISTRY"), "--set", "image.tag=" + os.Getenv("E2E_VERSION"), "--set", "image.pullPolicy=Never",
	}, args...)...)
	c.available()
}

func (c *cluster) available() {
	c.t.Helper()
	c.until("both deployments to be available", 3*time.Minute, func() (bool, error) {
		var all appsv1.DeploymentList
		if err := c.List(c.t.Context(), &all, client.InNamespace(operator)); err != nil {
			return false, err
		}
		for _, d := range all.Items {
			s := d.Status
			if s.ObservedGeneration < d.Generation || s.UpdatedReplicas < *d.Spec.Replicas || s.AvailableReplicas < *d.Spec.Replicas || s.Replicas > *d.Spec.Replicas {
				return false, fmt.Errorf("%s: %+v", d.Name, s)
			}
		}
		return len(all.Items) == 2, nil
	})
}

func (c *cluster) forwardAll() {
	c.t.Helper()
	c.until("the sink to be available", time.Minute, func() (bool, error) {
		d := &appsv1.Deployment{}
		err := c.Get(c.t.Context(), types.NamespacedName{Namespace: team, Name: "sink"}, d)
		return err == nil && d.Status.AvailableReplicas == 1, err
	})
	c.forward(publicHost, operator, "tiktok-operator-webhook-public", "80")
	if !c.apart {
		c.forward(simulatorHost, operator, "tiktok-operator-simulator", "9400")
	} else {
		c.forward(simulatorHost, team, "simulator", "9400")
	}
	c.forward(privateHost, operator, "tiktok-operator-webhook-private", "443")
	c.forward(sinkHost, team, "sink", "80")
}

// create makes an app and a channel, of a simulator that is a Service.
func (c *cluster) create(namespace, simulator string) {
	c.t.Helper()
	for _, object := range []client.Object{
		&v1alpha1.TiktokApp{ObjectMeta: metav1.ObjectMeta{Name: "simulator"}, Spec: v1alpha1.TiktokAppSpec{
			AppID: "sim-app", PublicURL: "http://" + publicHost,
			SecretRef: v1alpha1.AppSecretReference{Namespace: operator, Name: simulator},
			Endpoints: &v1alpha1.AppEndpoints{
				API:       "http://" + simulator + "." + namespace + ":9400/open_api/v1.3/",
				Authorize: "http://" + simulatorHost + "/v2/auth/authorize",
			},
		}},
		&v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "acme"}, Spec: v1alpha1.TiktokChannelSpec{
			AppRef: v1alpha1.TiktokAppReference{Name: "simulator"},
			Sinks:  []v1alpha1.Sink{{Name: "inbox", Ref: &v1alpha1.SinkReference{Name: "sink", Port: 80, Path: "/events"}}},
		}},
	} {
		if err := c.Create(c.t.Context(), object); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *cluster) channel() (*v1alpha1.TiktokChannel, error) {
	ch := &v1alpha1.TiktokChannel{}
	return ch, c.Get(c.t.Context(), types.NamespacedName{Namespace: team, Name: "acme"}, ch)
}

func (c *cluster) authorize() {
	c.t.Helper()
	var link string
	c.until("an authorization link", 2*time.Minute, func() (bool, error) {
		ch, err := c.channel()
		link = ch.Status.AuthorizationURL
		return link != "", err
	})
	if page := c.ask(http.MethodGet, link, "", ""); !strings.Contains(page, `content="granted"`) {
		c.t.Fatalf("the browser shows\n%s", page)
	}
	c.until("the channel to be Ready", time.Minute, func() (bool, error) {
		ch, err := c.channel()
		return err == nil && meta.IsStatusConditionTrue(ch.Status.Conditions, v1alpha1.ReadyCondition), err
	})
}

// ask makes a request and returns the answer, which must be good.
func (c *cluster) ask(method, address, token, body string) string {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	browser := c.browser()
	browser.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the pod's own certificate
	resp, err := browser.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", method, address, err, c.state())
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		c.t.Fatalf("%s %s: %s, %v\n%s", method, address, resp.Status, err, text)
	}
	return string(text)
}

// say has a TikTok user write.
func (c *cluster) say(text string) {
	c.t.Helper()
	c.ask(http.MethodPost, "http://"+simulatorHost+"/admin/events", "", fmt.Sprintf(`{"text":%q,"user":"alice"}`, text))
}

// hears waits for the sink to have a text, and returns its conversation.
func (c *cluster) hears(text string) (conversation string) {
	c.t.Helper()
	c.until("the sink to have "+text, 2*time.Minute, func() (bool, error) {
		answer := c.ask(http.MethodGet, "http://"+sinkHost+"/events", "", "")
		var events []struct {
			Subject string `json:"subject"`
		}
		if err := json.Unmarshal([]byte(answer), &events); err != nil {
			return false, err
		}
		for _, event := range events {
			if event.Subject != "" {
				conversation = event.Subject
			}
		}
		return strings.Contains(answer, text), fmt.Errorf("it has %s", answer)
	})
	return conversation
}

// reply sends through the messaging API, as a ServiceAccount that may, and looks at what the user got.
func (c *cluster) reply(conversation, text string) {
	c.t.Helper()
	ctx := c.t.Context()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "crm"}}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "crm"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tiktok-operator-channel-messenger"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: team, Name: "crm"}},
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"tiktok-operator"}}}
	reader := binding.DeepCopy()
	reader.Name, reader.RoleRef.Name = "crm-reads", "tiktok-operator-channel-reader"
	for _, err := range []error{c.Create(ctx, account), c.Create(ctx, binding), c.Create(ctx, reader), c.SubResource("token").Create(ctx, account, request)} {
		if err != nil && !apierrors.IsAlreadyExists(err) { // of an earlier reply
			c.t.Fatal(err)
		}
	}
	address := "https://" + privateHost + "/v1/namespaces/" + team + "/channels/acme/conversations/" + url.PathEscape(conversation) + "/messages"
	c.ask(http.MethodPost, address, request.Status.Token, fmt.Sprintf(`{"text":%q}`, text))
	if page := c.ask(http.MethodGet, "http://"+simulatorHost+"/user?user=alice", "", ""); !strings.Contains(page, text) {
		c.t.Errorf("the user does not see %q:\n%s", text, page)
	}
}

// plugin reads the conversation as a person does, through the plugin's own port-forward.
func (c *cluster) plugin(text string) {
	c.t.Helper()
	var out, errs bytes.Buffer
	args := []string{"--kubeconfig=" + os.Getenv("KUBECONFIG"), "-n=" + team, "conversations", "acme", "--as-service-account=crm"}
	if code := plugin.Main(c.t.Context(), "test", args, &out, &errs); code != 0 || !strings.Contains(out.String(), text) {
		c.t.Errorf("kubectl tiktok conversations ended with %d:\n%s%s", code, out.String(), errs.String())
	}
}

// kept is what an upgrade must not touch, with what would show that it did.
func (c *cluster) kept() map[string]string {
	c.t.Helper()
	ctx := c.t.Context()
	ch, err := c.channel()
	if err != nil {
		c.t.Fatal(err)
	}
	out := map[string]string{"channel": string(ch.UID)}
	for what, name := range map[string]types.NamespacedName{
		"token Secret": {Namespace: team, Name: ch.TokenSecretName()},
		// They sign the state of authorizations too, which are under way meanwhile.
		"keys of authorization links": {Namespace: operator, Name: tickets.SecretName},
		"simulator's Secret":          {Namespace: operator, Name: "tiktok-operator-simulator"},
	} {
		secret := &corev1.Secret{}
		if err := c.Get(ctx, name, secret); err != nil {
			c.t.Fatal(err)
		}
		text, err := json.Marshal(secret.Data)
		if err != nil {
			c.t.Fatal(err)
		}
		out[what] = string(secret.UID) + string(text)
	}
	claim := &corev1.PersistentVolumeClaim{}
	if err := c.Get(ctx, types.NamespacedName{Namespace: operator, Name: "tiktok-operator-webhook-data"}, claim); err != nil {
		c.t.Fatal(err)
	}
	out["volume"] = string(claim.UID) + claim.Spec.VolumeName
	return out
}

func (c *cluster) scale(namespace, name string, replicas int) {
	c.t.Helper()
	c.run("KUBECTL", "-n", namespace, "scale", "deployment", name, fmt.Sprintf("--replicas=%d", replicas))
	c.run("KUBECTL", "-n", namespace, "rollout", "status", "deployment", name, "--timeout=2m")
}

// evict does to one pod of a component what a drain does.
func (c *cluster) evict(component string) {
	c.t.Helper()
	var pods corev1.PodList
	err := c.List(c.t.Context(), &pods, client.InNamespace(operator), client.MatchingLabels{"app.kubernetes.io/component": component})
	if err != nil || len(pods.Items) == 0 {
		c.t.Fatalf("there are %d pods of the %s: %v", len(pods.Items), component, err)
	}
	c.until("the eviction of a pod of the "+component, time.Minute, func() (bool, error) {
		err := c.SubResource("eviction").Create(c.t.Context(), &pods.Items[0], &policyv1.Eviction{})
		return err == nil, err
	})
}

func (c *cluster) remove(object client.Object) {
	c.t.Helper()
	if err := c.Delete(c.t.Context(), object); err != nil {
		c.t.Fatal(err)
	}
	c.until(fmt.Sprintf("%T to go", object), time.Minute, func() (bool, error) {
		err := c.Get(c.t.Context(), client.ObjectKeyFromObject(object), object)
		return apierrors.IsNotFound(err), err
	})
}

#!/usr/bin/env bash
# A real Kubernetes cluster of one node on a Linux machine without Docker or a registry: etcd, kube-apiserver, controller manager, scheduler,
# kubelet, kube-proxy, CoreDNS, containerd and runc, in network, process and mount namespaces of their own ("the node"), so that nothing
# of it shares a port, an iptables table or a mount with the machine.
#
#   cluster.sh up                   starts it, and prints where its kubeconfig is; builds what is missing (ensure.sh)
#   cluster.sh load ARCHIVE.tar...  makes images known to it
#   cluster.sh status               what runs; ends with 1 where it is not up
#   cluster.sh kubeconfig           prints where its kubeconfig is
#   cluster.sh down                 ends it, and removes its state, network and cgroups
#
# It needs root, Go, and ip, openssl, iptables, runc and the CNI plugins, which it installs where Debian's apt-get is. What it cannot do without
# it names, and ends with 3. Once the programs are built, up takes about ten seconds.
#
# PersistentVolumes are folders of the machine, made by hack/cluster/volumes for the default StorageClass. NetworkPolicies are stored and not
# enforced. The machine reaches node, pods and Services; pods reach the machine at its address below and nothing beyond it, so an image
# that is not loaded cannot be pulled.
#
# Environment, the same for every verb:
#   CLUSTER_NAME   name of the node's network, and of its folder in the cache; default tiktok
#   CLUSTER_NET    first three bytes of the link between machine (.1) and node (.2); default 10.201.0
#   CLUSTER_PODS   of the pods, a /24; default 10.245.0
#   CLUSTER_SVC    first two bytes of the Services, a /16; default 10.98
#   CLUSTER_MEM    memory that pods together may use; default 6Gi
set -euo pipefail

self=$(readlink -f "${BASH_SOURCE[0]}")
here=$(dirname "$self")
. "$here/../cache.sh"

name=${CLUSTER_NAME:-tiktok}
net=${CLUSTER_NET:-10.201.0}
pods=${CLUSTER_PODS:-10.245.0}
svc=${CLUSTER_SVC:-10.98}
memory=${CLUSTER_MEM:-6Gi}

# Everything that down removes.
state=$(cache_root)/cluster/state-$name
ip=$net.2
socket=$state/run/containerd.sock
kubeconfig=$state/kubeconfig

die() {
	say "cluster: $1"
	exit "${2:-1}"
}

# needs ends with 3, and says what is missing, where a node cannot run.
needs() {
	[[ $(uname -s) == Linux ]] || die "a node runs on Linux only" 3
	[[ $(id -u) == 0 ]] || die "a node needs root: it makes namespaces, cgroups and routes" 3
	command -v go >/dev/null || die "go is missing" 3
	local pair missing=()
	for pair in ip:iproute2 openssl:openssl iptables:iptables runc:runc; do
		command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
	done
	plugins >/dev/null || missing+=(containernetworking-plugins)
	[[ ${#missing[@]} -gt 0 ]] || return 0
	command -v apt-get >/dev/null || die "these are missing, and there is no apt-get to install them: ${missing[*]}" 3
	say "Installing ${missing[*]} with apt-get."
	{ apt-get install -y -qq --no-install-recommends "${missing[@]}" || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; }; } \
		>/dev/null || die "apt-get could not install ${missing[*]}" 3
}

# plugins prints the folder of the CNI plugins: Debian's, or the one that everybody else uses.
plugins() {
	local folder
	for folder in /usr/lib/cni /opt/cni/bin; do
		[[ -x $folder/bridge && -x $folder/host-local && -x $folder/portmap ]] && echo "$folder" && return
	done
	return 1
}

# alive: is the recorded process still the node's? Sets node.
alive() {
	local started
	[[ -f $state/pid ]] && read -r node started <"$state/pid" && [[ $(started_at "$node") == "$started" ]]
}

# started_at PID: when it started, which tells it from a later process of the same id. Empty where there is none.
started_at() {
	awk '{print $22}' "/proc/$1/stat" 2>/dev/null || true
}

up() {
	needs
	if ! alive; then
		remove
		local programs control started
		programs=$("$here/ensure.sh")
		control=$("$here/../controlplane/ensure.sh")
		started=$(seconds)
		prepare "$programs" "$control"
		export PATH=$state/bin:$PATH KUBECONFIG=$kubeconfig
		network
		cgroups add
		setsid nsenter --net="/run/netns/$name" \
			unshare --mount --propagation private --uts --ipc --pid --fork --kill-child=KILL --mount-proc \
			env CLUSTER_NAME="$name" CLUSTER_NET="$net" CLUSTER_PODS="$pods" CLUSTER_SVC="$svc" bash "$self" __init \
			>"$state/log/init.log" 2>&1 </dev/null &
		node=$!
		echo "$node $(started_at "$node")" >"$state/pid"
		await 180 "the API server" kubectl get --raw /readyz
		await 120 "the default ServiceAccount" kubectl get serviceaccount default
		kubectl apply -f "$here/storage_class.yaml" >&2
		await 120 "the node" kubectl wait --for=condition=Ready node/node --timeout=2s
		say "Up in $(($(seconds) - started)) s: export KUBECONFIG=$kubeconfig"
	fi
	echo "$kubeconfig"
}

# await SECONDS WHAT COMMAND...: until the command succeeds.
await() {
	local end=$(($(seconds) + $1)) what=$2
	shift 2
	until timeout 5 "$@" >/dev/null 2>&1; do
		alive || { tail -n 5 "$state"/log/*.log >&2; die "the node ended while $what was waited for"; }
		[[ $(seconds) -lt $end ]] || { tail -n 8 "$state"/log/*.log >&2; die "waited too long for $what"; }
		sleep 0.25
	done
}

# certificate FILE CN O [SAN]
certificate() {
	local f=$state/pki/$1
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$f.key" -out "$f.csr" -subj "/O=$3/CN=$2" 2>/dev/null
	printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n%s' \
		"${4:+subjectAltName=$4}" >"$f.ext"
	openssl x509 -req -in "$f.csr" -CA "$state/pki/ca.crt" -CAkey "$state/pki/ca.key" -CAcreateserial -days 30 -extfile "$f.ext" -out "$f.crt" 2>/dev/null
	rm -f "$f.csr" "$f.ext"
}

# client FILE OUT: a kubeconfig for a certificate.
client() {
	local b="base64 -w0"
	(
		umask 077
		cat >"$2" <<-YAML
			apiVersion: v1
			kind: Config
			clusters: [{name: $name, cluster: {server: "https://$ip:6443", certificate-authority-data: $($b "$state/pki/ca.crt")}}]
			users: [{name: $1, user: {client-certificate-data: $($b "$state/pki/$1.crt"), client-key-data: $($b "$state/pki/$1.key")}}]
			contexts: [{name: $name, context: {cluster: $name, user: $1}}]
			current-context: $name
		YAML
	)
}

# prepare PROGRAMS CONTROLPLANE: everything that the node reads.
prepare() {
	mkdir -p "$state"/{bin,pki,log,run,etcd,containerd,kubelet,cni-state,pod-logs,container-logs,cni,volumes}
	ln -s "$1"/* "$2"/{etcd,kube-apiserver,kubectl} "$state/bin/"
	# One program is the node's alone and small; it follows the code.
	(cd "$here/../.." && CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$state/bin/volumes" ./hack/cluster/volumes)

	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -keyout "$state/pki/ca.key" -out "$state/pki/ca.crt" \
		-subj "/CN=$name-ca" -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature 2>/dev/null
	openssl genrsa -out "$state/pki/sa.key" 2048 2>/dev/null
	openssl rsa -in "$state/pki/sa.key" -pubout -out "$state/pki/sa.pub" 2>/dev/null
	certificate apiserver kube-apiserver kubernetes \
		"IP:$ip,IP:127.0.0.1,IP:$svc.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
	certificate kubelet-server node system:nodes "IP:$ip,DNS:node"
	certificate admin admin system:masters
	certificate apiserver-kubelet kube-apiserver-kubelet-client system:masters
	certificate controllers system:kube-controller-manager system:kube-controller-manager
	certificate scheduler system:kube-scheduler system:kube-scheduler
	certificate kubelet system:node:node system:nodes
	certificate proxy system:kube-proxy system:kube-proxy
	certificate dns dns system:masters
	client admin "$kubeconfig"
	local c
	for c in controllers scheduler kubelet proxy dns; do client $c "$state/pki/$c.conf"; done

	: >"$state/resolv.conf"
	printf 'cluster.local:53 {\n  bind %s\n  kubernetes cluster.local {\n    kubeconfig %s %s\n  }\n  errors\n}\n' \
		"$ip" "$state/pki/dns.conf" "$name" >"$state/Corefile"
	cat >"$state/cni/10-bridge.conflist" <<-JSON
		{"cniVersion": "1.0.0", "name": "$name", "plugins": [
		  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
		   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
		  {"type": "portmap", "capabilities": {"portMappings": true}}]}
	JSON
	cat >"$state/containerd.toml" <<-TOML
		version = 3
		root = "$state/containerd"
		state = "$state/run/containerd"
		[grpc]
		  address = "$socket"
		[plugins."io.containerd.cri.v1.images".pinned_images]
		  sandbox = "registry.local/cluster/pause:1"
		[plugins."io.containerd.cri.v1.runtime"]
		  restrict_oom_score_adj = true # in a container, root may not lower it
		[plugins."io.containerd.cri.v1.runtime".cni]
		  bin_dirs = ["$(plugins)"]
		  conf_dir = "$state/cni"
	TOML
	local reserved
	reserved=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) * 1024 - $(numfmt --from=iec-i "$memory")))
	[[ $reserved -gt 0 ]] || reserved=$((512 << 20))
	cat >"$state/kubelet.yaml" <<-YAML
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		failCgroupV1: false
		failSwapOn: false
		cgroupDriver: cgroupfs
		cgroupRoot: /$name
		containerRuntimeEndpoint: unix://$socket
		address: $ip
		tlsCertFile: $state/pki/kubelet-server.crt
		tlsPrivateKeyFile: $state/pki/kubelet-server.key
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/pki/ca.crt}}
		authorization: {mode: Webhook}
		clusterDomain: cluster.local
		clusterDNS: ["$ip"]
		resolvConf: $state/resolv.conf
		enforceNodeAllocatable: [pods]
		systemReserved: {memory: "$reserved"}
		evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%"}
		imageGCHighThresholdPercent: 100
		imageGCLowThresholdPercent: 99
		nodeStatusUpdateFrequency: 5s
		shutdownGracePeriod: 0s
	YAML
}

network() {
	ip netns add "$name"
	ip link add "v$name" type veth peer name node0 netns "$name"
	ip addr add "$net.1/30" dev "v$name"
	ip link set "v$name" up
	ip -n "$name" addr add "$ip/30" dev node0
	ip -n "$name" link set node0 up
	ip -n "$name" link set lo up
	ip route add "$pods.0/24" via "$ip" dev "v$name"
	ip route add "$svc.0.0/16" via "$ip" dev "v$name"
}

# cgroups add|remove: the node's, in every hierarchy of version 1, or in the one of version 2.
cgroups() {
	local hierarchy folder
	for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
		[[ -f $hierarchy/cgroup.procs ]] || continue
		[[ $hierarchy == /sys/fs/cgroup || ! -f /sys/fs/cgroup/cgroup.controllers ]] || continue
		folder=$hierarchy/$name
		if [[ $1 == add ]]; then
			mkdir -p "$folder"
			[[ ! -f $folder/pids.max ]] || echo 2048 >"$folder/pids.max" # whatever the pods do
		elif [[ -d $folder ]]; then
			find "$folder" -depth -type d -exec rmdir {} \; 2>/dev/null || true
		fi
	done
}

background() {
	local log=$1
	shift
	"$@" >"$state/log/$log.log" 2>&1 &
}

# init is process 1 of the node; everything below lives and dies with it.
init() {
	trap 'exit 0' TERM
	export PATH=$state/bin:$PATH KUBECONFIG=$kubeconfig
	hostname node
	mount --make-rshared /
	mount -t tmpfs tmpfs /run
	local place
	for place in kubelet:/var/lib/kubelet cni-state:/var/lib/cni pod-logs:/var/log/pods container-logs:/var/log/containers; do
		mkdir -p "${place#*:}"
		mount --bind "$state/${place%%:*}" "${place#*:}"
	done
	sysctl -qw net.ipv4.ip_forward=1
	sysctl -qw net.bridge.bridge-nf-call-iptables=1 || true # where bridges have no such module, a pod cannot reach itself by its Service
	background etcd etcd --data-dir "$state/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
		--listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync --log-level warn
	background containerd containerd --config "$state/containerd.toml"
	background apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 --secure-port 6443 --bind-address 0.0.0.0 --advertise-address "$ip" \
		--tls-cert-file "$state/pki/apiserver.crt" --tls-private-key-file "$state/pki/apiserver.key" \
		--client-ca-file "$state/pki/ca.crt" --cert-dir "$state/pki" \
		--authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged=true --service-cluster-ip-range "$svc.0.0/16" \
		--service-account-issuer https://kubernetes.default.svc --service-account-key-file "$state/pki/sa.pub" \
		--service-account-signing-key-file "$state/pki/sa.key" \
		--kubelet-client-certificate "$state/pki/apiserver-kubelet.crt" --kubelet-client-key "$state/pki/apiserver-kubelet.key" \
		--kubelet-certificate-authority "$state/pki/ca.crt" --kubelet-preferred-address-types InternalIP
	until kubectl get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
	background controllers kube-controller-manager --kubeconfig "$state/pki/controllers.conf" \
		--authentication-kubeconfig "$state/pki/controllers.conf" --authorization-kubeconfig "$state/pki/controllers.conf" \
		--service-account-private-key-file "$state/pki/sa.key" --root-ca-file "$state/pki/ca.crt" \
		--cluster-signing-cert-file "$state/pki/ca.crt" --cluster-signing-key-file "$state/pki/ca.key" \
		--use-service-account-credentials --leader-elect=false --bind-address 127.0.0.1
	background scheduler kube-scheduler --kubeconfig "$state/pki/scheduler.conf" \
		--authentication-kubeconfig "$state/pki/scheduler.conf" --authorization-kubeconfig "$state/pki/scheduler.conf" \
		--leader-elect=false --bind-address 127.0.0.1
	background volumes volumes -folder "$state/volumes"
	until ctr -a "$socket" version >/dev/null 2>&1; do sleep 0.1; done
	ctr -a "$socket" -n k8s.io images import "$state/bin/pause.tar"
	background coredns coredns -conf "$state/Corefile"
	background kubelet kubelet --kubeconfig "$state/pki/kubelet.conf" --config "$state/kubelet.yaml" --root-dir /var/lib/kubelet \
		--hostname-override node --node-ip "$ip"
	background proxy kube-proxy --kubeconfig "$state/pki/proxy.conf" --hostname-override node --proxy-mode iptables --cluster-cidr "$pods.0/24" \
		--conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0
	# Process 1 reaps. A component that ends stays away: its log says why.
	while :; do wait -n || true; sleep 1; done
}

load() {
	alive || die "it is not up"
	local archive
	for archive; do "$state/bin/ctr" -a "$socket" -n k8s.io images import "$archive" >&2; done
}

status() {
	alive || { say "It is not up."; exit 1; }
	KUBECONFIG=$kubeconfig "$state/bin/kubectl" get nodes,pods,services --all-namespaces -o wide
}

remove() {
	if alive; then
		# Process 1 of the node, as the machine numbers it: the kernel ends all the rest with it.
		local first
		first=$(tr -d ' ' <"/proc/$node/task/$node/children" 2>/dev/null) || first=
		[[ -z $first ]] || kill -KILL "$first" 2>/dev/null || true
		for _ in $(seq 100); do alive || break; sleep 0.1; done
		! alive || kill -KILL "$node" 2>/dev/null || true
	fi
	ip link del "v$name" 2>/dev/null || true
	[[ ! -e /run/netns/$name ]] || ip netns del "$name"
	cgroups remove
	rm -rf --one-file-system "$state"
}

case ${1:-} in
up | status) "$1" ;;
kubeconfig) echo "$kubeconfig" ;;
down)
	[[ $(id -u) == 0 ]] || die "ending a node needs root" 3
	remove
	say "It is down."
	;;
load) shift && [[ $# -gt 0 ]] || die "load: name the archives"; load "$@" ;;
__init) init ;;
*)
	sed -n '2,/^set -/s/^# \{0,1\}//p' "$self" >&2
	exit 2
	;;
esac

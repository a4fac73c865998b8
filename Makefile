# `make help` lists the targets. Everything here needs Go and make alone, but for what talks to a cluster (kubectl) or to Docker (docker).
# Tools and the test control plane are built once and kept outside the checkout (hack/cache.sh).

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PKG       ?= ./...
ARGS      ?=
FUZZTIME  ?= 10s
# Most packages wait for servers and clocks most of the time, so twice as many as there are processors run at once.
PARALLEL  ?= $(shell echo $$(( 2 * $$(getconf _NPROCESSORS_ONLN) )))
# A busy machine needs more than envtest's 20 s to start an API server.
export KUBEBUILDER_CONTROLPLANE_START_TIMEOUT ?= 2m
export KUBEBUILDER_CONTROLPLANE_STOP_TIMEOUT ?= 1m
BINARY    ?= manager
REGISTRY  ?= ghcr.io/tiktok-operator
IMAGE     ?= $(REGISTRY)/$(BINARY):$(VERSION)
KUBECTL   ?= kubectl
DOCKER    ?= docker

# The packages that take longest begin first, in this order: else the last of them would run when all others have ended.
long := $(addprefix ./,hack/demo test/inbound test/docs controllers internal/dispatch test/faults \
	internal/eventlog internal/messagingapi internal/ingest)

binaries := $(notdir $(wildcard cmd/*))
images := manager webhook tiktok-simulator
archs = $(or $(ARCH),$(shell go env GOARCH))

# $(call tool,NAME) runs a pinned development tool.
tool = tool=$$(hack/tools/ensure.sh $(1)) && "$$tool"

.DEFAULT_GOAL := help

##@ Everyday

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# Several tests start the binaries. They are linked once, and again only after a change. Without anything in the build cache each test would
# otherwise compile Kubernetes' libraries at once, and time out.
.PHONY: test
test: ## Run the tests on a real API server. PKG=./internal/token ARGS='-run X -v'
	@KUBEBUILDER_ASSETS=$$(hack/controlplane/ensure.sh) && export KUBEBUILDER_ASSETS && \
		race=$$(hack/race.sh) && { [ -n "$$race" ] || export CGO_ENABLED=0; } && \
		{ [ "$(PKG)" != ./... ] || { go build -buildvcs=false -o bin/built/ $(addprefix ./cmd/,$(binaries)) ./hack/demo ./test/nats-server && \
			export BUILT_PROGRAMS='$(CURDIR)/bin/built'; }; } && \
		go test $$race -p $(PARALLEL) -timeout 20m $(ARGS) $(if $(filter ./...,$(PKG)),$(long)) $(PKG)
	@[ "$(PKG)" != ./... ] || $(MAKE) --no-print-directory client gitops

.PHONY: client
client: ## Test with a client that is generated from the OpenAPI document.
	@cd test/openapi && go generate . && go test ./...

.PHONY: gitops
gitops: ## Test what Argo CD, Flux and kstatus make of channels.
	@cd test/gitops && go test -count=1 ./... # the cache does not see files outside of the module, such as config

.PHONY: browser
browser: ## Test the simulator's pages in a real Chromium. ARGS='-run Phone'
	@cd test/browser && go test -count=1 -v $(ARGS) .

.PHONY: test-chart
test-chart: ## Test the Helm chart: many values, three versions of Kubernetes, a real API server.
	@KUBEBUILDER_ASSETS=$$(hack/controlplane/ensure.sh) && HELM=$$(hack/tools/ensure.sh helm) && KUSTOMIZE=$$(hack/tools/ensure.sh kustomize) && \
		export KUBEBUILDER_ASSETS HELM KUSTOMIZE && go test -count=1 ./test/chart $(ARGS)

.PHONY: test-e2e
test-e2e: ## Install the chart on a real cluster, take the tour, upgrade, drain, uninstall. KUBECONFIG=…, or it makes a cluster.
	@hack/e2e/run.sh $(ARGS)

.PHONY: verify
verify: ## Check all that CI checks besides the tests: generated files, format, vet, lint, manifests.
	@hack/verify.sh

.PHONY: alerts
alerts: ## Test the alerts with promtool, and the dashboard by Grafana's schema.
	@hack/alerts.sh

.PHONY: dashboard
dashboard: ## Ask a real Prometheus all that the dashboard asks, about the tour.
	@KUBEBUILDER_ASSETS=$$(hack/controlplane/ensure.sh) && PROMETHEUS=$$(hack/tools/ensure.sh prometheus) && \
		export KUBEBUILDER_ASSETS PROMETHEUS && go test ./hack/demo -run TestDashboard -count=1 -v $(ARGS)

.PHONY: demo
demo: bin ## Show the whole system in one terminal, without a cluster. ARGS=--once or --empty
	@[ -n "$$KUBECONFIG" ] || { KUBEBUILDER_ASSETS=$$(hack/controlplane/ensure.sh) && export KUBEBUILDER_ASSETS; } && \
		go build -buildvcs=false -o bin/demo ./hack/demo && exec bin/demo $(ARGS)

.PHONY: build
build: bin ## Build every binary into bin/, static. VERSION=v0.1.0
	@for name in $(binaries); do \
		CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/$$name ./cmd/$$name || exit; \
	done

##@ Code

.PHONY: generate
generate: ## Generate DeepCopy methods.
	@$(call tool,controller-gen) object paths=./api/...

.PHONY: manifests
manifests: ## Generate CRDs and the two ClusterRoles from the markers in the code.
	@hack/manifests.sh

.PHONY: docs
docs: ## Generate docs/reference from types and code.
	@hack/docs/generate.sh

.PHONY: site
site: ## Make a site of docs in bin/site; fails on dead links.
	@cd hack/site && go run . -root ../.. -out ../../bin/site

.PHONY: fmt
fmt: ## Format the code.
	@gofmt -w -s $$(find . -name '*.go' -not -path './bin/*' -not -path './test/openapi/client/*')

.PHONY: lint
lint: ## Run golangci-lint. ARGS=--fix
	@$(call tool,golangci-lint) run $(ARGS)

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what the code calls.
	@$(call tool,govulncheck) ./...

##@ Measuring

.PHONY: fuzz
fuzz: ## Run every fuzz target for a while. FUZZTIME=1m PKG=./internal/tiktok
	@hack/fuzz.sh $(FUZZTIME) $(PKG)

.PHONY: bench
bench: ## Run the benchmarks. PKG=./internal/tiktok ARGS='-count 10'
	@KUBEBUILDER_ASSETS=$$(hack/controlplane/ensure.sh) && export KUBEBUILDER_ASSETS && \
		go test -run '^$$' -bench . -benchmem -timeout 60m $(ARGS) $(PKG)

.PHONY: load
load: ## Run the load suite against a bare reference program. ARGS=…
	@KUBEBUILDER_ASSETS=$$(hack/controlplane/ensure.sh) && export KUBEBUILDER_ASSETS && \
		go run ./test/load $(ARGS)

##@ Cluster

.PHONY: cluster-up
cluster-up: ## Start a real cluster of one node on this machine, without Docker. Needs root and Linux.
	@hack/cluster/cluster.sh up

.PHONY: cluster-down
cluster-down: ## End that cluster, and remove all that it had.
	@hack/cluster/cluster.sh down

.PHONY: images
images: ## Pack the images into bin/images without Docker, each with its bill of materials. REGISTRY=… VERSION=… ARCH='amd64 arm64'
	@for arch in $(archs); do \
		for name in $(images); do \
			CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' \
				-o bin/linux-$$arch/$$name ./cmd/$$name || exit; \
		done; \
	done
	@cd hack/image && go run . -version $(VERSION) -registry $(REGISTRY) -out $(CURDIR)/bin/images \
		$(foreach arch,$(archs),$(addprefix $(CURDIR)/bin/linux-$(arch)/,$(images)))

.PHONY: image
image: ## Pack one image and load it into Docker. BINARY=webhook IMAGE=registry.example/webhook:v1
	@$(MAKE) --no-print-directory images images=$(BINARY)
	$(DOCKER) load --input bin/images/linux-$(firstword $(archs))/$(BINARY).tar
	@[ $(IMAGE) = $(REGISTRY)/$(BINARY):$(VERSION) ] || $(DOCKER) tag $(REGISTRY)/$(BINARY):$(VERSION) $(IMAGE)

.PHONY: install
install: ## Install the CRDs into the current cluster.
	$(KUBECTL) apply --server-side -k config/crd

.PHONY: deploy
deploy: ## Deploy the operator into the current cluster.
	$(KUBECTL) apply --server-side -k config/default

.PHONY: undeploy
undeploy: ## Remove every TiktokChannel, then every TiktokApp, and then the operator with its CRDs and events. TIMEOUT=5m
	@KUBECTL='$(KUBECTL)' hack/undeploy.sh

bin:
	@mkdir -p bin

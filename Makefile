# The one list of what can be done here. `make` alone prints it.

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

BIN   := bin
# The linter is built once per pinned version, outside the work tree.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dipcast
LINT  := $(CACHE)/tools/golangci-lint-$(shell sha256sum hack/tools/go.sum | cut -c1-12)
HELM  := $(CACHE)/tools/helm-$(shell sha256sum hack/tools/helm/go.sum | cut -c1-12)
GO    := go
# Everything is built static; the race detector alone wants cgo.
export CGO_ENABLED := 0
VERSION := $(or $(VERSION),$(shell git describe --always --dirty 2>/dev/null || echo unknown))
LDFLAGS := -s -w -X main.version=$(VERSION)
# Images: what stands before /operator and /pbx in their names, and for which
# machines they are.
IMAGE_PREFIX  ?= localhost/dipcast
ARCHITECTURES ?= amd64,arm64
ARCH          := $(shell $(GO) env GOARCH)

.PHONY: help
help: ## Print this list.
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## Run the product: simulator, PBX, phones, a call that a press moves (DEMO=once ends by itself).
	@$(GO) build -o $(BIN)/ ./hack/demo
	@$(BIN)/demo -bin $(BIN)/dipcast $(if $(filter once,$(DEMO)),-once)

.PHONY: demo-cluster
demo-cluster: build $(HELM) ## The same on a real Kubernetes on this machine, through the Helm chart (as root; DEMO=once ends by itself).
	@$(GO) build -trimpath -o $(BIN)/ ./hack/demo-cluster
	@$(BIN)/demo-cluster -bin $(BIN)/dipcast -helm $(HELM) -version $(VERSION) $(if $(filter once,$(DEMO)),-once)

.PHONY: cluster
cluster: ## Run a Kubernetes of two nodes on this machine (as root); with KUBECONFIG set, that cluster is used.
	@hack/cluster/up.sh

.PHONY: cluster-down
cluster-down: ## Remove the local cluster and all that it put on this machine.
	@hack/cluster/down.sh

.PHONY: kube
kube: ## Build Kubernetes and etcd into the cache (8 minutes once) and print the folder.
	@hack/cluster/kube-bin.sh all

.PHONY: test
test: peers apiserver $(HELM) ## Run all tests with the race detector; wants the packages of hack/apt.txt.
	CGO_ENABLED=1 $(GO) test -race -timeout 45m ./...

# A test that cannot find its peer would prove nothing: say so before.
.PHONY: peers
peers:
	@for p in gcc node npm chromium sipp baresip sipsak svwar svcrack; do command -v $$p >/dev/null || \
		{ echo "test: $$p is missing: run 'make packages' as root (node and npm: Node 20)"; exit 1; }; done
	@cd hack/browser && { [ -d node_modules/jssip ] || npm ci --no-audit --no-fund --silent; }

# The tests of the controllers ask a real API server: built once, before the
# clock of any test runs.
.PHONY: apiserver
apiserver:
	@hack/cluster/kube-bin.sh envtest >/dev/null

# The images have tags of their own, so that runs do not pile up on the nodes.
.PHONY: e2e
e2e: build $(HELM) ## Run the acceptance tests on the local cluster (as root); E2E=short leaves out what takes minutes.
	@[ -z "$$KUBECONFIG" ] || { echo "e2e: KUBECONFIG is set, and these tests cut power and kill API servers: unset it, they bring up a cluster of their own"; exit 1; }
	@hack/cluster/up.sh >/dev/null
	@$(GO) run ./hack/images -version e2e -arch $(ARCH) -out dist/images >/dev/null
	@$(GO) run ./hack/images -version e2e-next -only pbx -arch $(ARCH) -out dist/images >/dev/null
	@hack/cluster/load.sh dist/images/operator-e2e-$(ARCH).tar dist/images/pbx-e2e-$(ARCH).tar dist/images/pbx-e2e-next-$(ARCH).tar
	@$(GO) test -c -tags cluster -o $(BIN)/cluster-e2e ./hack/cluster/e2e
	@hack/cluster/in.sh $(BIN)/cluster-e2e -helm $(HELM) -dipcast $(BIN)/dipcast -images e2e -next e2e-next \
		$(if $(filter short,$(E2E)),,-full) -test.v -test.timeout 30m $(if $(RUN),-test.run '$(RUN)')

.PHONY: build
build: ## Build the programs into bin/.
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...

.PHONY: images
images: ## Build the container images, without a container engine, into dist/images/.
	$(GO) run ./hack/images -version $(VERSION) -prefix $(IMAGE_PREFIX) -arch $(ARCHITECTURES) -out dist/images

.PHONY: push
push: ## Push dist/images to a registry: make push REGISTRY=registry.example/voip.
	@[ -n "$(REGISTRY)" ] || { echo "push: say where to: make push REGISTRY=registry.example/voip"; exit 1; }
	$(GO) run ./hack/images/push -to $(REGISTRY) dist/images/*-$(VERSION)-*.tar

.PHONY: chart
chart: ## Package the chart into dist/.
	$(GO) run ./hack/bundle -chart -version $(VERSION) -prefix $(IMAGE_PREFIX) -out dist

.PHONY: bundle
bundle: images ## Make one archive for closed networks: images, chart, kinds, programs, checksums, SBOM.
	$(GO) run ./hack/bundle -version $(VERSION) -prefix $(IMAGE_PREFIX) -arch $(ARCHITECTURES) -images dist/images -out dist

.PHONY: helm
helm: $(HELM) ## Build the pinned helm and print its path.
	@echo $(HELM)

.PHONY: check
check: tidy generate format vet lint shell house ## All checks that need no running program; fails on any difference to what is committed.
	@git diff --exit-code || { echo "check: the files above are not as the tools write them: commit the difference"; exit 1; }

.PHONY: tidy
tidy: ## Bring go.mod in order.
	$(GO) mod tidy
	cd hack/tools && $(GO) mod tidy
	cd hack/tools/helm && $(GO) mod tidy
	cd hack/cluster/kube && $(GO) mod tidy

.PHONY: generate
generate: ## Write the generated files: deepcopy, CRDs, docs/resources.md, the chart's copies.
	$(GO) generate ./api/... ./controllers/...
	$(GO) run ./hack/apidoc config/crd docs/resources.md
	rm -rf charts/dipcast/files/crds charts/dipcast/files/rbac
	mkdir -p charts/dipcast/files/crds charts/dipcast/files/rbac
	cp config/crd/*.yaml charts/dipcast/files/crds/
	cp config/rbac/role*.yaml charts/dipcast/files/rbac/

.PHONY: format
format: $(LINT) ## Format all Go files.
	$(LINT) fmt ./...

.PHONY: vet
vet: ## Run go vet.
	$(GO) vet -tags cluster ./...

.PHONY: lint
lint: $(LINT) ## Run the linter with .golangci.yml.
	$(LINT) run ./...

.PHONY: shell
shell: ## Check the shell scripts.
	cd hack/cluster && shellcheck -x *.sh
	shellcheck hack/tools/*.sh

.PHONY: house
house: ## Check import directions, sizes and globals.
	$(GO) test -count=1 -run 'TestImport|TestRules|TestOwn|TestSizes|TestNothing' ./hack/

FUZZTIME ?= 60s
.PHONY: soak
soak: ## Kill a PBX with live calls KILLS times (1000) at random moments; every call must go on and have one record.
	E2E_KILLS=$(or $(KILLS),1000) $(GO) test -count=1 -timeout 6h -run TestKilledAgainAndAgain -v ./hack/e2e

.PHONY: fuzz
fuzz: ## Fuzz every parser that the network feeds, each for FUZZTIME, two at a time (ONLY=gate: some of them).
	@$(GO) run ./hack/fuzz -time $(FUZZTIME) -only '$(ONLY)' -except pbx/phone,pbx/works/sim,pbx/conf,pbx/media/audiofile

TORTURE ?= 10m
.PHONY: torture
torture: ## Flood the PBX on all of its ports beside 50 recorded calls for TORTURE, and print the figures.
	TORTURE=$(TORTURE) $(GO) test -count=1 -timeout 60m -v -run '^TestTorture$$' ./hack/e2e

.PHONY: bench
bench: build ## Print the figures: per CPU-second, beside a peer or a bare forwarder in the same run.
	$(GO) run ./hack/bench -bin $(BIN)/dipcast

# Other work on the machine would be measured otherwise: all parties run before it where that is allowed.
FIRST := $(shell chrt -r 1 true 2>/dev/null && echo chrt -r 1)

.PHONY: bench-media
bench-media: build ## The media plane alone: 500 and 1,000 calls, recorded ones, conferences of 50, beside rtpengine and a bare forwarder.
	$(GO) build -o $(BIN)/bench ./hack/bench
	$(FIRST) $(BIN)/bench -bin $(BIN)/dipcast -only plane

.PHONY: bench-idle
bench-idle: build ## What idle tenants cost: 100 processes of pbx on this machine, memory, start and CPU of each.
	$(GO) run ./hack/bench-idle -bin $(BIN)/pbx

.PHONY: bench-operator
bench-operator: build ## The same for the operator: 100, 300 and 1,000 tenants on a real API server (QUICK=1: a small fleet).
	$(GO) run ./hack/bench-operator -bin $(BIN)/operator $(if $(QUICK),-quick)

.PHONY: vuln
vuln: ## Look for known vulnerabilities (needs the internet).
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./...

.PHONY: packages
packages: ## Install the Debian packages that tests and demo use (as root).
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$(grep -v '^#' hack/apt.txt)

.PHONY: bench-packages
bench-packages: ## Install the peers that make bench measures beside us (as root).
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$(grep -v '^#' hack/apt-bench.txt)

$(LINT):
	mkdir -p $(@D)
	cd hack/tools && $(GO) build -trimpath -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(HELM):
	mkdir -p $(@D)
	cd hack/tools/helm && $(GO) build -trimpath -o $@ helm.sh/helm/v4/cmd/helm

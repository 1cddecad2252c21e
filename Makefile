# The front door: `make help` lists every target. Values reach the scripts through the environment, quoted by the shell.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CONFIG ?= config/backup.env
export CONFIG

# A variable that nothing takes would be ignored silently: a typo, a setting without SET=, a DRY_RUN=1 where there is none. What a
# target takes is what its help below names; KIND and IF_DUE say nothing to upload and publish, but one line may run all stages. A make that
# runs this one hands down variables of its own.
strict := $(if $(filter 0,$(MAKELEVEL)),$(filter backup snapshot upload publish estimate status list verify restore extract drill thaw prune init doctor install-systemd uninstall-systemd,$(MAKECMDGOALS)))
variables := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
ifneq ($(and $(strict),$(variables)),)
taken := $(shell awk -F: -v goals=' $(strict) ' 'index(goals, " " $$1 " ") && sub(/.*## /, "")' Makefile | grep -oE '[A-Z0-9_]+=')
taken += CONFIG= $(if $(filter-out install-systemd uninstall-systemd,$(strict)),SET= JSON=) $(if $(filter upload publish,$(strict)),KIND= IF_DUE=)
unknown := $(filter-out $(taken),$(variables:%=%=))
ifneq ($(unknown),)
$(error make $(strict) takes no $(unknown) (make help lists what it takes; settings are given as SET="KEY=VALUE"))
endif
# Of TARGET=/data/a$b make would leave /data/a, because it has no variable b. What is written $(b) is meant so.
open := (
unmeant = $(findstring $$,$(subst $${,,$(subst $$$(open),,$(subst $$$$,,$(value $1)))))
cut := $(strip $(foreach name,$(variables),$(if $(call unmeant,$(name)),$(name))))
ifneq ($(cut),)
$(error $(cut): make takes a $$ for the beginning of a variable: write $$$$ for each $$)
endif
endif

TSX := scripts/tsx.sh
# NODE=24 on the command line: that version of Node.js, from npm and kept in .node/, for the recipes and for what they start.
ifeq ($(origin NODE),command line)
OTHER_NODE := .node/$(NODE)/bin/node
export PATH := $(CURDIR)/.node/$(NODE)/bin:$(PATH)
endif

READY := .stamps/setup
READY_FOR_DEVELOPMENT := .stamps/setup-development
READY_FOR_CEPH := .stamps/setup-ceph

# `--name "$NAME"` where the variable NAME is given, empty or not; `--name` where it is 1, or, with `unless`, where it is 0. A variable that happens to be in
# the environment is neither used nor ignored silently.
given = $(if $(filter environment,$(origin $1)),$(error $1 is set in the environment: unset it, or write make ... $1=value),$(origin $1))
option = $(if $(filter undefined,$(call given,$1)),,--$2 "$$$1")
flag = $(if $(filter undefined,$(call given,$1)),,$(if $(filter-out 1 true yes 0 false no,$($1)),$(error $1=$($1) is neither 1 nor 0),$(if $(filter 1 true yes,$($1)),--$2)))
unless = $(if $(filter undefined,$(call given,$1)),,$(if $(filter-out 1 true yes 0 false no,$($1)),$(error $1=$($1) is neither 1 nor 0),$(if $(filter 0 false no,$($1)),--$2)))

settings = --config "$$CONFIG" $(call option,SET,sets) $(call flag,JSON,json)
selection = $(call option,SUBVOLUME,subvolume)
prices = $(if $(filter undefined,$(call given,PRICES)),,--set "PRICES=$$PRICES")
planning = $(selection) $(call option,KIND,kind) $(call flag,IF_DUE,if-due) $(call flag,DRY_RUN,dry-run)
point = $(call option,AT,at) $(call option,MANIFEST,manifest)

##@ Begin

.PHONY: init
init: $(READY) ## asks what to back up and where, writes CONFIG, ends with make doctor  [SET= MAKE_BUCKET=1]
	@$(TSX) scripts/init.ts $(settings) $(call flag,MAKE_BUCKET,make-bucket)

.PHONY: doctor
doctor: $(READY) ## finds what is wrong here and in the bucket, and says how to mend it  [ROLE=backup|restore|drill|verify|prune RATE=1 JSON=1]
	@$(TSX) scripts/doctor.ts $(settings) $(call option,ROLE,role) $(call flag,RATE,rate)

##@ Back up

.PHONY: backup
backup: $(READY) ## snapshot, upload and publish  [SUBVOLUME= KIND=auto|full|incremental IF_DUE=1 DRY_RUN=1 RATE=]
	@$(TSX) scripts/backup.ts $(settings) $(planning) $(call option,RATE,rate)

.PHONY: snapshot
snapshot: $(READY) ## stage 1: plan, and take read-only snapshots  [SUBVOLUME= KIND= IF_DUE=1 DRY_RUN=1]
	@$(TSX) scripts/snapshot.ts $(settings) $(planning)

.PHONY: upload
upload: $(READY) ## stage 2: btrfs send into chunks on S3  [SUBVOLUME=]
	@$(TSX) scripts/send-chunk-upload.ts $(settings) $(selection)

.PHONY: publish
publish: $(READY) ## stage 3: manifest and pointer, thin snapshots  [SUBVOLUME=]
	@$(TSX) scripts/manifest.ts $(settings) $(selection)

.PHONY: estimate
estimate: $(READY) ## size, duration and price of the next backup; uploads nothing  [SUBVOLUME= RATE=20Mbit PRICES=file]
	@$(TSX) scripts/estimate.ts $(settings) $(selection) $(call option,RATE,rate) $(prices)

##@ Every night

.PHONY: install-systemd
install-systemd: $(READY) ## timers that use CONFIG, and a man page; needs root  [DESTDIR= PREFIX=/usr/local]
	@$(TSX) scripts/systemd.ts install --config "$$CONFIG" $(call option,PREFIX,prefix) $(call option,DESTDIR,destdir)

.PHONY: uninstall-systemd
uninstall-systemd: $(READY) ## removes them; a backup that runs goes on  [DESTDIR= PREFIX=/usr/local]
	@$(TSX) scripts/systemd.ts uninstall --config "$$CONFIG" $(call option,PREFIX,prefix) $(call option,DESTDIR,destdir)

.PHONY: uninstall
uninstall: uninstall-systemd ## the same; both say what stays, and how to remove that

##@ See what there is, and restore it

.PHONY: status
status: $(READY) ## one screen: what there is, what is due, what it costs, what is wrong
	@$(TSX) scripts/status.ts $(settings)

.PHONY: list
list: $(READY) ## every backup in the bucket, * the last of each subvolume  [SUBVOLUME= HOST_PREFIX= (all hosts below it) COST=1 PRICES= WIDE=1 JSON=1]
	@$(TSX) scripts/list.ts $(settings) $(selection) $(call option,HOST_PREFIX,host-prefix) $(call flag,WIDE,wide) \
	  $(call flag,COST,cost) $(prices)

.PHONY: verify
verify: $(READY) ## checks the bucket against its manifests  [SUBVOLUME= IF_DUE=1 DEEP=1 reads every byte]
	@$(TSX) scripts/verify.ts $(settings) $(selection) $(call flag,IF_DUE,if-due) $(call flag,DEEP,deep)

.PHONY: restore
restore: $(READY) ## restores any backup, to a new path  [SUBVOLUME= (or ALL=1) TARGET= AT=|MANIFEST= VERIFY= READ_ONLY=1 CONTINUE=1 TIER= DAYS= WAIT=0 ABANDON=1]
	@$(TSX) scripts/restore.ts $(settings) $(selection) $(call option,TARGET,target) $(point) \
	  $(call option,VERIFY,verify) $(call flag,READ_ONLY,read-only) $(call option,TIER,tier) $(call option,DAYS,days) \
	  $(call unless,WAIT,no-wait) $(call flag,ABANDON,abandon) $(call flag,CONTINUE,continue) $(call flag,ALL,all)

.PHONY: extract
extract: $(READY) ## copies files out of a backup, onto any filesystem  [SUBVOLUME= PATHS= TO= AT=|MANIFEST= TIER= DAYS= WAIT=0 DRY_RUN=1]
	@$(TSX) scripts/extract.ts $(settings) $(selection) $(call option,PATHS,paths) $(call option,TO,to) $(point) \
	  $(call option,TIER,tier) $(call option,DAYS,days) $(call unless,WAIT,no-wait) $(call flag,DRY_RUN,dry-run)

.PHONY: drill
drill: $(READY) ## proves a backup by restoring it into a scratch image  [SUBVOLUME= AT=|MANIFEST= VERIFY= TIER= DAYS= WAIT=0 IF_DUE=1 DRY_RUN=1]
	@$(TSX) scripts/drill.ts $(settings) $(selection) $(point) $(call option,VERIFY,verify) $(call option,TIER,tier) \
	  $(call option,DAYS,days) $(call unless,WAIT,no-wait) $(call flag,IF_DUE,if-due) $(call flag,DRY_RUN,dry-run)

.PHONY: thaw
thaw: $(READY) ## requests the archived chunks of a chain, and reports how far they are  [SUBVOLUME= AT=|MANIFEST= TIER= DAYS= DRY_RUN=1, or EXPORT=file]
	@$(TSX) scripts/thaw.ts $(settings) $(selection) $(point) $(call option,TIER,tier) $(call option,DAYS,days) \
	  $(call option,EXPORT,export) $(call flag,DRY_RUN,dry-run)

##@ Clean up

.PHONY: prune
prune: $(READY) ## shows what is beyond KEEP_GENERATIONS, and orphans  [SUBVOLUME= | RETIRE=name IF_DUE=1 JSON=1 APPLY=1 deletes]
	@$(TSX) scripts/prune.ts $(settings) $(selection) $(call option,RETIRE,retire) $(call flag,IF_DUE,if-due) $(call flag,APPLY,apply)

##@ Try and develop

.PHONY: demo
demo: $(READY_FOR_DEVELOPMENT) ## the whole journey on a loop device and a local S3 server; needs root  [KEEP=1]
	@$(TSX) testing/scripts/demo.ts $(call flag,KEEP,keep)

.PHONY: setup
setup: ## system and npm packages; every target that needs them runs it by itself
	@rm -f $(READY) && $(MAKE) $(READY)

.PHONY: test
test: check ## everything below, at once where it can  [NODE=20|22|24, here and below: with that version of Node.js, from npm]
	@$(MAKE) -j2 --output-sync=target test-files test-integration

.PHONY: test-files
test-files: $(READY_FOR_DEVELOPMENT) ## the three below in one go, which fills the processors
	@testing/run-tests.sh $(filter-out $(addprefix tests/,faults slow support),$(wildcard tests/*))

.PHONY: check
check: $(READY_FOR_DEVELOPMENT) ## the three below, beside each other
	@$(MAKE) -j --output-sync=target check-format check-types check-unused

.PHONY: check-format
check-format: $(READY_FOR_DEVELOPMENT) ## format, lint, direction of imports
	@node_modules/.bin/biome check .

.PHONY: check-types
check-types: $(READY_FOR_DEVELOPMENT) ## types
	@node_modules/.bin/tsc -p .

.PHONY: check-unused
check-unused: $(READY_FOR_DEVELOPMENT) ## dead code, packages that nothing uses
	@node_modules/.bin/knip

.PHONY: test-unit
test-unit: $(READY_FOR_DEVELOPMENT) ## tests of lib/, scripts/ and the harness
	@testing/run-tests.sh $(filter-out $(addprefix tests/,contract end-to-end faults slow support),$(wildcard tests/*))

.PHONY: test-contract
test-contract: $(READY_FOR_DEVELOPMENT) ## what is needed of S3, against the embedded server
	@testing/run-tests.sh tests/contract

.PHONY: test-end-to-end
test-end-to-end: $(READY_FOR_DEVELOPMENT) ## the scripts on real loop-mounted Btrfs filesystems; needs root
	@testing/run-tests.sh tests/end-to-end

.PHONY: test-integration
test-integration: $(READY_FOR_DEVELOPMENT) ## the harness, step by step  [S3_SERVER= TEST_CONFIG= INCLUDE_LARGE=1 INCLUDE_ARCHIVE=1 KEEP=1]
	@$(TSX) testing/scripts/run-all.ts $(call option,TEST_CONFIG,config) $(call flag,INCLUDE_LARGE,include-large) \
	  $(call flag,INCLUDE_ARCHIVE,include-archive) $(call flag,SKIP_S3,skip-s3) $(call flag,KEEP,keep)

.PHONY: test-ceph
test-ceph: $(READY_FOR_CEPH) ## contract, hosts, recover.sh and harness against Ceph, which it installs
	@$(TSX) testing/tools/with-s3-server.ts ceph -- bash -euc 'testing/run-tests.sh tests/contract/s3-contract.test.ts tests/slow/fleet.test.ts tests/slow/recover-server.test.ts; \
	  $(TSX) testing/scripts/run-all.ts $(call option,TEST_CONFIG,config)'

.PHONY: test-faults
test-faults: $(READY_FOR_DEVELOPMENT) ## random faults, kills, damage, histories; long; needs root  [KILLS= MUTATIONS= HISTORIES= SEED=]
	@TEST_TIMEOUT_MS=3600000 testing/run-tests.sh tests/faults tests/slow

.PHONY: test-all
test-all: test test-faults test-ceph ## everything that there is; takes hours

.PHONY: pictures
pictures: $(READY_FOR_DEVELOPMENT) ## draws the pictures of README.md anew, from real commands; needs root
	@$(TSX) testing/pictures/draw-pictures.ts

.PHONY: providers-table
providers-table: $(READY_FOR_DEVELOPMENT) ## what works with which provider, played, into docs/providers.md; needs root
	@$(TSX) testing/tools/providers-table.ts

.PHONY: memory
memory: $(READY_FOR_DEVELOPMENT) ## peak memory of upload and restore against the promised bound; needs root
	@$(TSX) testing/bench/memory.ts

.PHONY: bench
bench: $(READY_FOR_DEVELOPMENT) ## speed, beside others  [SIZE= ROUNDS= SETS= CODEC=1 TLS=1 DELAY_MS= CAP_MBIT= DIR= BASELINE= PART_SIZES=]
	@$(TSX) testing/bench/bench.ts $(call option,SIZE,size) $(call option,ROUNDS,rounds) $(call option,SETS,sets) \
	  $(call flag,CODEC,codec) $(call flag,TLS,tls) $(call option,DELAY_MS,delay-ms) $(call option,CAP_MBIT,cap-mbit) \
	  $(call option,DIR,dir) \
	  $(call option,BASELINE,baseline) $(call option,PART_SIZES,part-sizes)

.PHONY: bench-growth
bench-growth: $(READY_FOR_DEVELOPMENT) ## what each further GiB and each further backup cost  [SIZES= COUNTS= ROUNDS= TLS=1 DIR=]
	@$(TSX) testing/bench/growth.ts $(call option,SIZES,sizes) $(call option,COUNTS,counts) $(call option,ROUNDS,rounds) \
	  $(call flag,TLS,tls) $(call option,DIR,dir)

.PHONY: schema
schema: $(READY_FOR_DEVELOPMENT) ## writes the generated files in config/: JSON Schema, example, settings
	@$(TSX) testing/tools/write-generated.ts

.PHONY: help
help: ## this list
	@width=100; if [[ -t 1 ]]; then width=$$(tput cols 2>/dev/null || echo 80); fi; \
	awk -v width="$$((width > 100 ? 100 : width))" 'BEGIN { FS = ":.*## " } \
	  function wrap(head, text,   words, count, n) { \
	    count = split(text, words, " "); \
	    for (n = 1; n <= count; n++) { \
	      if (length(head) > 25 && length(head) + 1 + length(words[n]) > width) { print head; head = sprintf("%25s", "") } head = head " " words[n] } \
	    print head } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { \
	    line = sprintf("  make %-18s %s", $$1, $$2); at = index(line, "  [") ? index(line, "  [") : match(line, /  [A-Z_]+=/); \
	    if (length(line) <= width) { print line; next } \
	    if (at < 26) at = length(line) + 1; \
	    wrap(substr(line, 1, 25), substr(line, 26, at - 26)); if (at <= length(line)) wrap(sprintf("%25s", ""), substr(line, at + 2)) }' $(MAKEFILE_LIST)
	@printf '\nFor all that back up, look or restore: CONFIG=file    the settings (default config/backup.env)\n'
	@printf '                 SET="KEY=VALUE ..."    settings that win over the file\n'
	@printf '                 JSON=1    a document in place of text\n'

$(READY) $(READY_FOR_DEVELOPMENT) $(READY_FOR_CEPH): | $(OTHER_NODE)

.node/%/bin/node:
	@testing/install-node.sh $*

$(READY): package-lock.json scripts/setup.sh
	@scripts/setup.sh
	@mkdir -p $(@D) && touch $@

$(READY_FOR_DEVELOPMENT): package-lock.json scripts/setup.sh
	@scripts/setup.sh --development
	@mkdir -p $(@D) && touch $@ $(READY)

$(READY_FOR_CEPH): package-lock.json scripts/setup.sh
	@scripts/setup.sh --ceph
	@mkdir -p $(@D) && touch $@ $(READY_FOR_DEVELOPMENT) $(READY)

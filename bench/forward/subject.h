/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The forwarders under test: one static table.  A subject that lends its own
 * packet memory to the cable (DPDK's zero-copy, memif client only) is in a run
 * twice, as an entry with and one without; and all that again if it routes:
 * with one destination, and with many ("spread").
 */
#ifndef BENCH_FORWARD_SUBJECT_H
#define BENCH_FORWARD_SUBJECT_H

#include "forward.h"
#include "proc.h"

#define FWD_PATH_MAX 108 /* of a UNIX socket */
#define FWD_MAX_SETUPS 8
#define FWD_SPREAD 65536u /* destinations, where there are many */

/* Where and with what: of the whole run. */
struct fwd_env {
	const struct fwd_request *req;
	char dir[64];              /* sockets, logs; removed at the end */
	char testpmd[PATH_MAX];    /* "" : there is none */
	char l3fwd[PATH_MAX];
	const char *dpdk_build;    /* "debian" or "native" */
	char dpdk_version[64];
	bool huge;                 /* DPDK takes huge pages; else 4 KiB pages */
	bool can_cut;              /* `p2pnic run` knows --placement cut */
	uint32_t *dst;             /* spread: where to, host order, num_dst; NULL: no entry wants them, or there is no table */
	uint32_t num_dst;
	char routes[PATH_MAX];     /* the full table, for `p2pnic run --static-route-file` */
	uint64_t num_routes[2];    /* in it, IPv4 and IPv6 */
	char table[256];           /* which it is, for people */
	char no_table[FWD_ERR_MAX]; /* why there is none */
};

/* How a subject is set up: the choices among which its best is looked for. */
struct fwd_setup {
	unsigned int ring;      /* descriptors of each ring of the cables */
	unsigned int buf_bytes; /* p2pnic's packet buffers; 0: not chosen by us */
};

/* Counted since it started. */
struct fwd_counts {
	uint64_t busy_cycles; /* of time-stamp counter; rounds in which nothing was to do are not in it */
	uint64_t frames;      /* that it sent */
};

struct fwd_subject;

/* A subject that runs. */
struct fwd_forwarder {
	const struct fwd_env *env;
	const struct fwd_subject *subject;
	bool zero_copy, spread, against;
	struct fwd_setup setup;
	bool sleeps; /* p2pnic without --poll */
	char sock[2][FWD_PATH_MAX], ctl[FWD_PATH_MAX];
	struct fwd_proc proc;
};

struct fwd_subject {
	const char *name, *help;
	const char *mode;  /* p2pnic's, testpmd's */
	const char *against; /* p2pnic: what its ratio to the other build's is called */
	bool p2pnic, dpdk; /* neither: raw-copy */
	bool cut;
	bool route;        /* p2pnic: with routes instead of a pair */
	bool full;         /* p2pnic: with the full table, and many destinations alone */
	bool spreads;      /* also with many destinations */
	bool lends;        /* also as zero-copy */
	bool routed;       /* changes MAC addresses, TTL, checksum */
	/* 0, or -ENOENT and why it can't be had. */
	int (*available)(const struct fwd_env *e, const struct fwd_subject *s, bool zero_copy, char why[FWD_ERR_MAX]);
	/* f->env, subject, zero_copy, setup and sock are set; the far ends of both cables are there. */
	int (*start)(struct fwd_forwarder *f, char err[FWD_ERR_MAX]);
	/* NULL: it doesn't tell. While no frames are under way. */
	int (*counts)(struct fwd_forwarder *f, struct fwd_counts *c, char err[FWD_ERR_MAX]);
};

extern const struct fwd_subject fwd_subjects[]; /* ended by a NULL name */

/* All ways to set it up that are tried: how many of them into setup. */
unsigned int fwd_setups(const struct fwd_env *e, const struct fwd_subject *s, struct fwd_setup setup[FWD_MAX_SETUPS]);
void fwd_forwarder_stop(struct fwd_forwarder *f);

/* env.c: makes the directory and looks for programs. 0 or -errno with err. */
int fwd_env_init(struct fwd_env *e, const struct fwd_request *req, char err[FWD_ERR_MAX]);
void fwd_env_free(struct fwd_env *e);

/* spread.c: table, file and destinations into e.  0 or -errno with err. */
int fwd_spread_make(struct fwd_env *e, char err[FWD_ERR_MAX]);
void fwd_spread_free(struct fwd_env *e);

/* p2pnic.c */
int fwd_p2pnic_available(const struct fwd_env *e, const struct fwd_subject *s, bool zero_copy, char why[FWD_ERR_MAX]);
int fwd_p2pnic_start(struct fwd_forwarder *f, char err[FWD_ERR_MAX]);
int fwd_p2pnic_counts(struct fwd_forwarder *f, struct fwd_counts *c, char err[FWD_ERR_MAX]);
/* Of a control socket's answer to {"get":"stats"}: 0 or -EPROTO. */
int fwd_p2pnic_read(struct json_object *stats, struct fwd_counts *c);

/* dpdk.c */
int fwd_dpdk_available(const struct fwd_env *e, const struct fwd_subject *s, bool zero_copy, char why[FWD_ERR_MAX]);
int fwd_testpmd_start(struct fwd_forwarder *f, char err[FWD_ERR_MAX]);
int fwd_testpmd_counts(struct fwd_forwarder *f, struct fwd_counts *c, char err[FWD_ERR_MAX]);
/* Of what `show fwd stats all` prints: 0 or -EPROTO. */
int fwd_testpmd_read(const char *text, struct fwd_counts *c);
int fwd_l3fwd_start(struct fwd_forwarder *f, char err[FWD_ERR_MAX]);
/* testpmd as generator and sink: memif server on both cables, flowgen both ways, on the generator's core. */
int fwd_flowgen_start(struct fwd_forwarder *f, unsigned int frame_bytes, char err[FWD_ERR_MAX]);

#endif

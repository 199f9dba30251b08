/* SPDX-License-Identifier: BSD-3-Clause */
/* pcap: a cable whose far end are capture files: one is received, what is sent goes into the other. */
#include <pcap/pcap.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ports/buffers.h"
#include "ports/pace.h"
#include "ports/pcap.h"
#include "ports/pcap_out.h"
#include "ports/schemes.h"

#define PCAP_FRAME_MAX (P2P_MAX_SEGS * 9728u)

struct pcap_port {
	struct port port;
	/* input */
	char in_path[PATH_MAX];
	pcap_t *in;
	struct pcap_pkthdr *next; /* the frame that goes next, NULL when the input has ended */
	const u_char *next_data;
	uint64_t loops_left; /* further passes; UINT64_MAX: for ever */
	uint64_t records;    /* in one pass, counted at open */
	uint64_t record;     /* of this pass */
	uint32_t longest;
	struct pace pace;
	char error[PORT_ERR_MAX]; /* of an input that broke while it was read */
	struct pcap_out *out; /* NULL: what is sent is dropped */

	struct port_buffers bufs;
	uint32_t done;
	bool started;
};

static const struct port_ops pcap_ops_in;

static inline struct pcap_port *pcap_of(struct port *p)
{
	return (struct pcap_port *)p;
}

/* Input */

static int pcap_in_reopen(struct pcap_port *p, char err[PORT_ERR_MAX])
{
	char why[PCAP_ERRBUF_SIZE] = "";
	struct stat st;

	if (p->in)
		pcap_close(p->in);
	p->in = NULL;
	p->record = 0;
	if (stat(p->in_path, &st)) {
		int rc = -errno;

		snprintf(err, PORT_ERR_MAX, "pcap: cannot read '%.120s': %s", p->in_path, strerror(-rc));
		return rc;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(err, PORT_ERR_MAX, "pcap: '%.120s' is not a regular file: give a capture file", p->in_path);
		return -EINVAL;
	}
	if (st.st_size == 0) {
		snprintf(err, PORT_ERR_MAX, "pcap: '%.120s' is empty: not even a file header", p->in_path);
		return -EINVAL;
	}
	p->in = pcap_open_offline_with_tstamp_precision(p->in_path, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!p->in) {
		int rc = access(p->in_path, R_OK) ? -errno : -EINVAL;

		if (rc == -EINVAL)
			snprintf(err, PORT_ERR_MAX, "pcap: '%.100s' is not a pcap or pcapng file: %.100s", p->in_path, why);
		else
			snprintf(err, PORT_ERR_MAX, "pcap: cannot read '%.120s': %s", p->in_path, strerror(-rc));
		return rc;
	}
	if (pcap_datalink(p->in) != DLT_EN10MB) {
		const char *name = pcap_datalink_val_to_name(pcap_datalink(p->in));

		snprintf(err, PORT_ERR_MAX, "pcap: '%.120s' has link type %.30s, not Ethernet: give an Ethernet capture",
			 p->in_path, name ? name : "unknown");
		return -EINVAL;
	}
	/* The kernel reads further ahead, so that the worker finds what it needs in memory. */
	posix_fadvise(fileno(pcap_file(p->in)), 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

/* The next record, checked: 1, 0 at the end, or -EINVAL with err set. */
static int pcap_in_next(struct pcap_port *p, char err[PORT_ERR_MAX])
{
	unsigned long long k = p->record + 1;
	int rc = pcap_next_ex(p->in, &p->next, &p->next_data);

	if (rc == PCAP_ERROR_BREAK) {
		p->next = NULL;
		return 0;
	}
	err[0] = '\0';
	if (rc != 1)
		snprintf(err, PORT_ERR_MAX, "pcap: '%.80s' is truncated or damaged at record %llu: %.80s", p->in_path, k,
			 pcap_geterr(p->in));
	else if (p->next->caplen != p->next->len)
		snprintf(err, PORT_ERR_MAX,
			 "pcap: '%.80s': record %llu holds %u of the frame's %u bytes: capture it again without a snap length",
			 p->in_path, k, p->next->caplen, p->next->len);
	else if (p->next->caplen == 0 || p->next->caplen > PCAP_FRAME_MAX)
		snprintf(err, PORT_ERR_MAX, "pcap: '%.80s': record %llu has %u bytes; 1 to %u can be sent", p->in_path, k,
			 p->next->caplen, PCAP_FRAME_MAX);
	if (err[0]) {
		p->next = NULL;
		return -EINVAL;
	}
	p->record++;
	return 1;
}

/* Reads all of it once, so that what can't be sent whole is refused before anything is sent. */
static int pcap_in_open(struct pcap_port *p, char err[PORT_ERR_MAX])
{
	int rc = pcap_in_reopen(p, err);

	if (rc)
		return rc;
	while ((rc = pcap_in_next(p, err)) == 1) {
		if (p->next->caplen > p->longest)
			p->longest = p->next->caplen;
	}
	if (rc < 0)
		return rc;
	p->records = p->record;
	if (!p->records) {
		snprintf(err, PORT_ERR_MAX, "pcap: '%.120s' holds no frames", p->in_path);
		return -EINVAL;
	}
	rc = pcap_in_reopen(p, err);
	if (rc)
		return rc;
	rc = pcap_in_next(p, err);
	return rc < 0 ? rc : 0;
}

/* Goes on to the next frame, of the next pass if need be. */
static void pcap_in_advance(struct pcap_port *p)
{
	if (pcap_in_next(p, p->error) != 0)
		return;
	if (!p->loops_left)
		return;
	if (p->loops_left != UINT64_MAX)
		p->loops_left--;
	if (!pcap_in_reopen(p, p->error) && pcap_in_next(p, p->error) == 0)
		snprintf(p->error, PORT_ERR_MAX, "pcap: '%.120s' was emptied while it was read", p->in_path);
}

/* Open and close */

static void pcap_port_close(struct port *port)
{
	struct pcap_port *p = pcap_of(port);

	if (p->in)
		pcap_close(p->in);
	pcap_out_close(p->out);
	port_buffers_free(&p->bufs);
	free(p);
}

/* The output: out=FILE, or the first option that is a name by itself. */
static int pcap_out_name(const struct port_spec *spec, const char **out, char err[PORT_ERR_MAX])
{
	*out = port_spec_get(spec, "out");
	if (spec->n && !spec->opt[0].value[0] && strcmp(spec->opt[0].key, "loop") != 0 &&
	    strcmp(spec->opt[0].key, "rate") != 0 && strcmp(spec->opt[0].key, "out") != 0) {
		if (*out) {
			snprintf(err, PORT_ERR_MAX, "pcap: two outputs, '%.80s' and '%.80s': give one", spec->opt[0].key, *out);
			return -EINVAL;
		}
		*out = port_spec_get(spec, spec->opt[0].key);
		*out = spec->opt[0].key;
	}
	if (*out && !**out) {
		snprintf(err, PORT_ERR_MAX, "pcap: out= names no file");
		return -EINVAL;
	}
	if (!*out && !*spec->target) {
		snprintf(err, PORT_ERR_MAX, "pcap: no file: write %s", port_pcap_ops.help);
		return -EINVAL;
	}
	if (strlen(spec->target) >= PATH_MAX) {
		snprintf(err, PORT_ERR_MAX, "pcap: the input's name is too long");
		return -ENAMETOOLONG;
	}
	return 0;
}

static int pcap_port_open(struct port **out, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	uint64_t loop = 1, rate = 0;
	struct pcap_port *p;
	const char *output;
	int rc;

	rc = pcap_out_name(spec, &output, err);
	if (!rc)
		rc = port_spec_get_u64(spec, "loop", 0, UINT64_MAX - 1, &loop, err);
	if (!rc)
		rc = port_spec_get_u64(spec, "rate", 0, 10000000000u, &rate, err);
	if (rc)
		return rc;
	p = calloc(1, sizeof(*p));
	if (!p) {
		snprintf(err, PORT_ERR_MAX, "pcap: out of memory");
		return -ENOMEM;
	}
	p->loops_left = loop ? loop - 1 : UINT64_MAX;
	pace_init(&p->pace, rate, 1);
	memcpy(p->in_path, spec->target, strlen(spec->target) + 1);
	if (*spec->target)
		rc = pcap_in_open(p, err);
	if (!rc && output)
		rc = pcap_out_open(&p->out, output, p->in ? p->in_path : NULL, &p->port.stats, err);
	if (rc) {
		pcap_port_close(&p->port);
		return rc;
	}
	p->port.ops = p->in && loop ? &pcap_ops_in : &port_pcap_ops;
	*out = &p->port;
	return 0;
}

static int pcap_port_start(struct port *port, const struct port_memory *mem)
{
	struct pcap_port *p = pcap_of(port);
	uint32_t most = mem->rx_bufs < P2P_MAX_SEGS ? mem->rx_bufs : P2P_MAX_SEGS;
	int rc;

	if (p->in && p->longest > (uint64_t)mem->buf_size * most)
		return -EMSGSIZE;
	/* Not before: who opens ports may have rights yet that a thread must not keep. */
	rc = p->out ? pcap_out_start(p->out) : 0;
	if (!rc)
		rc = port_buffers_init(&p->bufs, mem->rx_bufs);
	if (rc)
		return rc;
	p->pace.start_ns = 0;
	p->done = 0;
	p->started = true;
	return 0;
}

static void pcap_port_stop(struct port *port)
{
	struct pcap_port *p = pcap_of(port);

	p->started = false;
	if (p->out)
		pcap_out_kick(p->out);
	port_buffers_free(&p->bufs);
}

/* Working */

static unsigned int pcap_rx_burst(struct port *port, struct p2p_seg *segs, unsigned int n)
{
	struct pcap_port *p = pcap_of(port);
	uint64_t quota, frames = 0, bytes = 0;
	unsigned int used = 0, k, i;
	const uint8_t *from;
	uint32_t len;

	if (!p->started || !p->next)
		return 0;
	quota = p->pace.rate_pps ? pace_due(&p->pace, port_clock_ns()) : UINT64_MAX;
	for (; quota && p->next && used < n; quota--) {
		len = p->next->caplen;
		if (!port_buffers_needed(&p->bufs, len, n - used))
			break;
		k = port_buffers_take(&p->bufs, segs + used, len);
		from = p->next_data;
		for (i = used; i < used + k; i++) {
			memcpy(segs[i].data, from, segs[i].len);
			from += segs[i].len;
		}
		used += k;
		frames++;
		bytes += len;
		pcap_in_advance(p);
	}
	pace_spend(&p->pace, frames);
	p2p_count(&port->stats.rx_frames, frames);
	p2p_count(&port->stats.rx_bytes, bytes);
	p2p_count(&port->stats.copies, frames);
	return used;
}

static unsigned int pcap_rx_post(struct port *port, const struct p2p_seg *segs, unsigned int n)
{
	return port_buffers_post(&pcap_of(port)->bufs, segs, n);
}

static unsigned int pcap_tx_burst(struct port *port, const struct p2p_seg *segs, unsigned int n)
{
	struct pcap_port *p = pcap_of(port);
	unsigned int i, first = 0;
	struct timespec now;
	uint64_t frames = 0, bytes = 0;
	uint32_t len = 0;

	if (!p->started || !n)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	for (i = 0; i < n; i++) {
		len += segs[i].len;
		if (segs[i].flags & P2P_SEG_MORE)
			continue;
		if (p->out && !pcap_out_put(p->out, segs + first, i + 1 - first, len, &now))
			break;
		frames++;
		bytes += len;
		first = i + 1;
		len = 0;
	}
	if (p->out) {
		pcap_out_publish(p->out, i < n);
	} else {
		p2p_count(&port->stats.tx_frames, frames);
		p2p_count(&port->stats.tx_bytes, bytes);
	}
	p->done += first;
	return first;
}

static unsigned int pcap_tx_done(struct port *port)
{
	struct pcap_port *p = pcap_of(port);
	unsigned int n = p->done;

	p->done = 0;
	return n;
}

static void pcap_control(struct port *port, uint64_t now_ns)
{
	struct pcap_port *p = pcap_of(port);

	if (p->out)
		pcap_out_kick(p->out);
}

/* Nobody calls control() while the worker sleeps. */
static void pcap_arm(struct port *port, bool sleeping)
{
	if (sleeping)
		pcap_control(port, 0);
}

static unsigned int pcap_fds(struct port *port, int *fds, unsigned int max, uint32_t *gen)
{
	*gen = 0;
	return 0;
}

static uint64_t pcap_next_event(struct port *port, uint64_t now_ns)
{
	struct pcap_port *p = pcap_of(port);

	if (!p->started || !p->next || !port_buffers_needed(&p->bufs, p->next->caplen, P2P_MAX_SEGS))
		return UINT64_MAX;
	return pace_next_ns(&p->pace, now_ns);
}

static bool pcap_link_up(struct port *port)
{
	return pcap_of(port)->started;
}

static bool pcap_exhausted(struct port *port)
{
	return !pcap_of(port)->next;
}

static int pcap_finish(struct port *port, char err[PORT_ERR_MAX])
{
	struct pcap_port *p = pcap_of(port);
	int rc = p->out ? pcap_out_finish(p->out, err) : 0;

	if (!rc && p->error[0]) {
		memcpy(err, p->error, PORT_ERR_MAX);
		rc = -EIO;
	}
	return rc;
}

#define PCAP_OPS \
	.scheme = "pcap", \
	.help = "pcap:[IN][,OUT][,out=OUT][,loop=N (0: for ever)][,rate=PPS]: receive a capture file, write what is sent", \
	.open = pcap_port_open, .start = pcap_port_start, .stop = pcap_port_stop, .close = pcap_port_close, \
	.rx_burst = pcap_rx_burst, .rx_post = pcap_rx_post, .tx_burst = pcap_tx_burst, .tx_done = pcap_tx_done, \
	.control = pcap_control, .fds = pcap_fds, .arm = pcap_arm, .next_event = pcap_next_event, .link_up = pcap_link_up, \
	.in_order = port_buffers_in_order, \
	.finish = pcap_finish

const struct port_ops port_pcap_ops = { PCAP_OPS };
/* An input that ends. */
static const struct port_ops pcap_ops_in = { PCAP_OPS, .exhausted = pcap_exhausted };

bool port_pcap_quiet(const struct port *port)
{
	const struct pcap_port *p = (const struct pcap_port *)port;

	return port->ops->rx_post != pcap_rx_post || !p->out || pcap_out_quiet(p->out);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports/pcap_out.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC_NS 0xa1b23c4du
#define SNAPLEN 262144u
#define WRITE_POLL_MS 100 /* how soon a thread that waits for a pipe sees that it is given up */

enum { RUN, FINISH, DISCARD };

/* pcap with nanoseconds, in the byte order of the host, as the format has it. */
struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snaplen, linktype;
};

struct record {
	uint32_t sec, nsec, caplen, len;
};

/*
 * The ring holds records back to back; head and tail are free-running and lie
 * between records.
 * OWNERSHIP  [tail, head) is the thread's, the rest the worker's.
 * ORDERING   head: release by publish, acquire by the thread.  tail: release by
 *   the thread when it has counted the records, acquire by put and quiet.
 */
struct pcap_out {
	char path[PATH_MAX];
	char temp[PATH_MAX + 32]; /* where it is written until it is whole; "" when path is no regular file */
	int fd;
	int event_fd;
	struct port_stats *stats;
	uint8_t *ring;
	pthread_t thread;
	bool started;
	int order; /* atomic: RUN, FINISH, DISCARD */

	uint64_t head; /* atomic */
	uint64_t put, kicked; /* the worker's */

	uint64_t tail __attribute__((aligned(64))); /* atomic */
	uint64_t written; /* the thread's: bytes of the ring that are in the file, from tail on at most one record's part */
	int error; /* the thread's, the first errno of a write: nothing is written after it; finish's after the join */
};

/* --- the thread --- */

/* Up to len bytes; *done counts what went out.  Returns 0 or -errno; -ECANCELED: given up. */
static int out_write(struct pcap_out *o, const void *data, size_t len, size_t *done)
{
	struct pollfd pfd = { .fd = o->fd, .events = POLLOUT };
	ssize_t n;

	*done = 0;
	while (*done < len) {
		if (__atomic_load_n(&o->order, __ATOMIC_ACQUIRE) == DISCARD)
			return -ECANCELED;
		n = write(o->fd, (const uint8_t *)data + *done, len - *done);
		if (n >= 0)
			*done += (size_t)n;
		else if (errno == EAGAIN)
			poll(&pfd, 1, WRITE_POLL_MS);
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static void ring_get(const struct pcap_out *o, uint64_t at, void *data, size_t len)
{
	size_t offset = at % PCAP_OUT_RING_BYTES, first = PCAP_OUT_RING_BYTES - offset;

	first = first < len ? first : len;
	memcpy(data, o->ring + offset, first);
	memcpy((uint8_t *)data + first, o->ring, len - first);
}

/* Counts the records that are in the file, after an error all up to head, and gives their room back. */
static void out_account(struct pcap_out *o, uint64_t head)
{
	uint64_t tail = o->tail, limit = o->error ? head : o->written, frames = 0, bytes = 0, lost = 0;
	struct record r;

	while (tail < limit) {
		ring_get(o, tail, &r, sizeof(r));
		if (tail + sizeof(r) + r.caplen > o->written) {
			if (!o->error)
				break;
			lost++;
		} else {
			frames++;
			bytes += r.caplen;
		}
		tail += sizeof(r) + r.caplen;
	}
	p2p_count(&o->stats->tx_frames, frames);
	p2p_count(&o->stats->tx_bytes, bytes);
	p2p_count(&o->stats->copies, frames);
	if (lost)
		__atomic_fetch_add(&o->stats->tx_error, lost, __ATOMIC_RELAXED);
	__atomic_store_n(&o->tail, tail, __ATOMIC_RELEASE);
}

/* Everything up to head. */
static void out_drain(struct pcap_out *o, uint64_t head)
{
	size_t len, n, offset;
	int rc;

	while (o->written < head && !o->error) {
		offset = o->written % PCAP_OUT_RING_BYTES;
		len = PCAP_OUT_RING_BYTES - offset;
		len = len < head - o->written ? len : head - o->written;
		len = len < PCAP_OUT_CHUNK_BYTES ? len : PCAP_OUT_CHUNK_BYTES;
		rc = out_write(o, o->ring + offset, len, &n);
		o->written += n;
		if (rc)
			o->error = -rc;
		out_account(o, head);
	}
	if (o->error)
		out_account(o, head);
}

static void *out_main(void *arg)
{
	struct pcap_out *o = arg;
	uint64_t head, n;
	int order;

	pthread_setname_np(pthread_self(), "p2p-pcap");
	do {
		while (read(o->event_fd, &n, sizeof(n)) < 0 && errno == EINTR)
			;
		do {
			/* The order first: what was put before it must be seen. */
			order = __atomic_load_n(&o->order, __ATOMIC_ACQUIRE);
			head = __atomic_load_n(&o->head, __ATOMIC_ACQUIRE);
			out_drain(o, head);
		} while (order == RUN && __atomic_load_n(&o->head, __ATOMIC_ACQUIRE) - head >= PCAP_OUT_CHUNK_BYTES);
	} while (order == RUN);
	return NULL;
}

static void out_wake(struct pcap_out *o)
{
	const uint64_t one = 1;

	while (write(o->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int pcap_out_start(struct pcap_out *o)
{
	sigset_t all, old;
	int rc;

	if (o->started || o->fd < 0)
		return 0;
	/* Signals are for the process's main thread. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&o->thread, NULL, out_main, o);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return rc;
	o->started = true;
	return 0;
}

static void out_end(struct pcap_out *o, int order)
{
	if (!o->started)
		return;
	__atomic_store_n(&o->order, order, __ATOMIC_RELEASE);
	out_wake(o);
	pthread_join(o->thread, NULL);
	o->started = false;
}

/* --- the worker's side --- */

static void ring_put(struct pcap_out *o, const void *data, size_t len)
{
	size_t offset = o->put % PCAP_OUT_RING_BYTES, first = PCAP_OUT_RING_BYTES - offset;

	first = first < len ? first : len;
	memcpy(o->ring + offset, data, first);
	memcpy(o->ring, (const uint8_t *)data + first, len - first);
	o->put += len;
}

bool pcap_out_put(struct pcap_out *o, const struct p2p_seg *segs, unsigned int n, uint32_t len,
		  const struct timespec *now)
{
	struct record r = { .sec = (uint32_t)now->tv_sec, .nsec = (uint32_t)now->tv_nsec, .caplen = len, .len = len };
	uint64_t used = o->put - __atomic_load_n(&o->tail, __ATOMIC_ACQUIRE);
	unsigned int i;

	if (len > SNAPLEN) {
		__atomic_fetch_add(&o->stats->tx_error, 1, __ATOMIC_RELAXED);
		return true;
	}
	if (used + sizeof(r) + len > PCAP_OUT_RING_BYTES)
		return false;
	ring_put(o, &r, sizeof(r));
	for (i = 0; i < n; i++)
		ring_put(o, segs[i].data, segs[i].len);
	return true;
}

void pcap_out_publish(struct pcap_out *o, bool full)
{
	__atomic_store_n(&o->head, o->put, __ATOMIC_RELEASE);
	if (full || o->put - o->kicked >= PCAP_OUT_CHUNK_BYTES)
		pcap_out_kick(o);
}

void pcap_out_kick(struct pcap_out *o)
{
	if (o->kicked == o->put)
		return;
	o->kicked = o->put;
	out_wake(o);
}

bool pcap_out_quiet(const struct pcap_out *o)
{
	/* The head first: the tail only comes closer. */
	uint64_t head = __atomic_load_n(&o->head, __ATOMIC_ACQUIRE);

	return __atomic_load_n(&o->tail, __ATOMIC_ACQUIRE) >= head;
}

/* --- life --- */

/* Devices and pipes: a thread that waits for them must see when it is given up. */
static int out_create_in_place(struct pcap_out *o)
{
	int flags;

	o->fd = open(o->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (o->fd < 0)
		return -errno;
	flags = fcntl(o->fd, F_GETFL);
	if (flags < 0 || fcntl(o->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/*
 * The file is written under another name beside the one it will have, which it
 * gets when it is whole.  Devices and pipes can only be written in place.
 */
static int out_create(struct pcap_out *o, const char *path)
{
	unsigned int try;
	struct stat st;

	if (stat(path, &st) == 0) {
		if (!realpath(path, o->path))
			return -errno;
		if (!S_ISREG(st.st_mode))
			return out_create_in_place(o);
		if (access(o->path, W_OK))
			return -errno;
	} else {
		memcpy(o->path, path, strlen(path) + 1);
	}
	for (try = 0; try < 100; try++) {
		snprintf(o->temp, sizeof(o->temp), "%s.partial.%u.%u", o->path, (unsigned int)getpid(), try);
		o->fd = open(o->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (o->fd >= 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	o->temp[0] = '\0';
	return -errno;
}

static int out_check(const char *path, const char *in_path, char err[PORT_ERR_MAX])
{
	struct stat a, b;

	if (in_path && stat(path, &a) == 0 && stat(in_path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
		snprintf(err, PORT_ERR_MAX, "pcap: '%.120s' is both input and output: give another file for the output", path);
		return -EINVAL;
	}
	if (strlen(path) >= PATH_MAX) {
		snprintf(err, PORT_ERR_MAX, "pcap: output '%.100s...': the name is too long", path);
		return -ENAMETOOLONG;
	}
	return 0;
}

int pcap_out_open(struct pcap_out **out, const char *path, const char *in_path, struct port_stats *stats,
		  char err[PORT_ERR_MAX])
{
	static const struct file_header h = {
		.magic = MAGIC_NS, .major = 2, .minor = 4, .snaplen = SNAPLEN, .linktype = 1,
	};
	struct pcap_out *o;
	size_t n;
	int rc;

	rc = out_check(path, in_path, err);
	if (rc)
		return rc;
	if (posix_memalign((void **)&o, 64, sizeof(*o)))
		goto no_memory;
	memset(o, 0, sizeof(*o));
	o->fd = o->event_fd = -1;
	o->stats = stats;
	o->ring = malloc(PCAP_OUT_RING_BYTES);
	if (!o->ring)
		goto free_out;
	rc = out_create(o, path);
	if (!rc)
		rc = out_write(o, &h, sizeof(h), &n);
	if (rc) {
		snprintf(err, PORT_ERR_MAX, "pcap: cannot write '%.120s': %s", path, strerror(-rc));
		goto close_out;
	}
	o->event_fd = eventfd(0, EFD_CLOEXEC);
	if (o->event_fd < 0) {
		rc = -errno;
		snprintf(err, PORT_ERR_MAX, "pcap: cannot write '%.120s': %s", path, strerror(-rc));
		goto close_out;
	}
	*out = o;
	return 0;
close_out:
	pcap_out_close(o);
	return rc;
free_out:
	free(o);
no_memory:
	snprintf(err, PORT_ERR_MAX, "pcap: out of memory");
	return -ENOMEM;
}

static void out_discard(struct pcap_out *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	if (o->temp[0])
		unlink(o->temp);
}

int pcap_out_finish(struct pcap_out *o, char err[PORT_ERR_MAX])
{
	if (o->fd >= 0) {
		out_end(o, FINISH);
		/* Some file systems find out that there is no room only when the data leave the cache. */
		if (o->temp[0] && !o->error && fdatasync(o->fd))
			o->error = errno;
		if (close(o->fd) && !o->error)
			o->error = errno;
		o->fd = -1;
		if (!o->error && o->temp[0] && rename(o->temp, o->path))
			o->error = errno;
		if (!o->error)
			o->temp[0] = '\0';
	}
	if (!o->error)
		return 0;
	snprintf(err, PORT_ERR_MAX, "pcap: writing '%.100s': %.40s; frames not written: %llu; %s", o->path,
		 strerror(o->error), (unsigned long long)p2p_count_read(&o->stats->tx_error),
		 o->temp[0] ? "the incomplete file was removed" : "what was written is incomplete");
	out_discard(o);
	return -o->error;
}

void pcap_out_close(struct pcap_out *o)
{
	if (!o)
		return;
	out_end(o, DISCARD);
	out_discard(o);
	if (o->event_fd >= 0)
		close(o->event_fd);
	free(o->ring);
	free(o);
}

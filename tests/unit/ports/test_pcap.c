/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ports/pcap.h"
#include "ports/port.h"
#include "loop.h"

#define BUFS 256
#define FRAMES 600
#define FRAME_MAX 9000

static char dir[64];

/* Frame k of every capture made here; returns its length. */
static uint32_t frame_make(uint32_t k, uint8_t *out)
{
	uint32_t len = k == 0 ? 60 : k == 1 ? FRAME_MAX : 60 + k * 7919u % (FRAME_MAX - 59), i, x = k * 2654435761u + 1;

	for (i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		out[i] = (uint8_t)(x >> 24);
	}
	return len;
}

static char *path_of(const char *name)
{
	static char path[4][128];
	static unsigned int turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void put32(FILE *f, uint32_t v, bool swap)
{
	v = swap ? __builtin_bswap32(v) : v;
	assert_int_equal(fwrite(&v, 4, 1, f), 1);
}

static void put16(FILE *f, uint32_t v, bool swap)
{
	uint16_t w = (uint16_t)v;

	w = swap ? __builtin_bswap16(w) : w;
	assert_int_equal(fwrite(&w, 2, 1, f), 1);
}

enum kind { MICRO, NANO, SWAPPED, NG };

static void header_put(FILE *f, enum kind kind, uint32_t linktype)
{
	bool swap = kind == SWAPPED;

	if (kind == NG) {
		put32(f, 0x0a0d0d0a, false);
		put32(f, 28, false);
		put32(f, 0x1a2b3c4d, false);
		put32(f, 1, false);
		put32(f, 0xffffffff, false);
		put32(f, 0xffffffff, false);
		put32(f, 28, false);
		put32(f, 1, false);
		put32(f, 20, false);
		put32(f, linktype, false);
		put32(f, 0, false);
		put32(f, 20, false);
		return;
	}
	put32(f, kind == NANO ? 0xa1b23c4d : 0xa1b2c3d4, swap);
	put16(f, 2, swap);
	put16(f, 4, swap);
	put32(f, 0, swap);
	put32(f, 0, swap);
	put32(f, 262144, swap);
	put32(f, linktype, swap);
}

static void record_put(FILE *f, enum kind kind, const uint8_t *data, uint32_t caplen, uint32_t len)
{
	static const uint8_t zeros[4];
	bool swap = kind == SWAPPED;
	uint32_t pad = -caplen & 3;

	if (kind == NG) {
		put32(f, 6, false);
		put32(f, 32 + caplen + pad, false);
		put32(f, 0, false);
		put32(f, 0, false);
		put32(f, 5, false);
	} else {
		put32(f, 1, swap);
		put32(f, 2, swap);
	}
	put32(f, caplen, swap);
	put32(f, len, swap);
	assert_int_equal(fwrite(data, 1, caplen, f), caplen);
	if (kind == NG) {
		assert_int_equal(fwrite(zeros, 1, pad, f), pad);
		put32(f, 32 + caplen + pad, false);
	}
}

static void capture_make(const char *path, enum kind kind, unsigned int frames)
{
	uint8_t frame[FRAME_MAX];
	FILE *f = fopen(path, "w");
	unsigned int k;

	assert_non_null(f);
	header_put(f, kind, 1);
	for (k = 0; k < frames; k++) {
		uint32_t len = frame_make(k, frame);

		record_put(f, kind, frame, len, len);
	}
	assert_int_equal(fclose(f), 0);
}

/* The file that the port wrote holds frames 0..n-1, loops times over, and nothing else. */
static void capture_check(const char *path, unsigned int n, unsigned int loops)
{
	uint8_t want[FRAME_MAX], have[FRAME_MAX];
	uint32_t head[6], rec[4], len, last_sec = 0, last_nsec = 0;
	FILE *f = fopen(path, "r");
	unsigned int k;

	assert_non_null(f);
	assert_int_equal(fread(head, 4, 6, f), 6);
	assert_true(head[0] == 0xa1b23c4d && head[1] == (4u << 16 | 2) && head[5] == 1);
	for (k = 0; k < n * loops; k++) {
		len = frame_make(k % n, want);
		assert_int_equal(fread(rec, 4, 4, f), 4);
		assert_true(rec[1] < 1000000000u && rec[0] > 1500000000u);
		assert_true(rec[0] > last_sec || (rec[0] == last_sec && rec[1] >= last_nsec));
		last_sec = rec[0];
		last_nsec = rec[1];
		assert_true(rec[2] == len && rec[3] == len);
		assert_int_equal(fread(have, 1, len, f), len);
		assert_memory_equal(have, want, len);
	}
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
}

static unsigned int files_in_dir(void)
{
	unsigned int n = 0;
	struct dirent *e;
	DIR *d = opendir(dir);

	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static struct port *open_or_fail(const char *spec)
{
	char err[PORT_ERR_MAX];
	struct port *p = NULL;

	if (port_open(&p, spec, err))
		fail_msg("%s", err);
	return p;
}

static void wait_quiet(const struct port *p)
{
	while (!port_pcap_quiet(p))
		usleep(1000);
}

/* Receives and sends back up to frames frames; returns how many. */
static unsigned int shovel(const struct loop *l, struct port *p, unsigned int frames)
{
	struct p2p_seg segs[48];
	unsigned int n, i, done = 0;

	while (done < frames) {
		n = p->ops->rx_burst(p, segs, done % 3 ? 48 : 33);
		if (!n)
			break;
		for (i = 0; i < n; i++)
			done += !(segs[i].flags & P2P_SEG_MORE);
		assert_false(segs[n - 1].flags & P2P_SEG_MORE);
		assert_int_equal(p->ops->tx_burst(p, segs, n), n);
		assert_int_equal(p->ops->tx_done(p), n);
		loop_repost(l, p, segs, n);
	}
	return done;
}

static void round_trip(enum kind kind, uint32_t buf_size, unsigned int loops)
{
	char spec[512], err[PORT_ERR_MAX], in[128], out[128];
	struct port *p;
	struct loop l;

	strcpy(in, path_of("in"));
	strcpy(out, path_of("out"));
	capture_make(in, kind, FRAMES);
	loop_init(&l, BUFS, buf_size);
	snprintf(spec, sizeof(spec), "pcap:%s,%s,loop=%u", in, out, loops);
	p = open_or_fail(spec);
	assert_int_equal(p->ops->start(p, &l.mem), 0);
	loop_post(&l, p);
	assert_non_null(p->ops->exhausted);
	assert_false(p->ops->exhausted(p));
	assert_int_equal(shovel(&l, p, UINT32_MAX), FRAMES * loops);
	assert_true(p->ops->exhausted(p));
	assert_true(p->ops->next_event(p, 1) == UINT64_MAX);
	/* Until the end there is no file that looks whole. */
	assert_int_equal(access(out, F_OK), -1);
	p->ops->stop(p);
	assert_int_equal(p->ops->finish(p, err), 0);
	assert_true(p->stats.rx_frames == FRAMES * loops && p->stats.tx_frames == FRAMES * loops);
	assert_true(p->stats.rx_bytes == p->stats.tx_bytes && p->stats.tx_error == 0);
	p->ops->close(p);
	capture_check(out, FRAMES, loops);
	assert_int_equal(files_in_dir(), 2);
	unlink(in);
	unlink(out);
	loop_free(&l);
}

static void test_round_trip(void **state)
{
	round_trip(MICRO, 2048, 1);
	round_trip(NANO, 600, 1);
	round_trip(SWAPPED, 9728, 1);
	round_trip(NG, 2112, 3);
}

static void refuse(const char *spec, const char *a, const char *b)
{
	char err[PORT_ERR_MAX] = "";
	struct port *p = NULL;
	unsigned int files = files_in_dir();

	if (!port_open(&p, spec, err) || p || !strstr(err, a) || !strstr(err, b) || strchr(err, '\n'))
		fail_msg("'%s': '%s' lacks '%s' or '%s'", spec, err, a, b);
	assert_int_equal(files_in_dir(), files);
}

static void refuse_file(const char *path, const char *a, const char *b)
{
	char spec[512];

	snprintf(spec, sizeof(spec), "pcap:%s,%s", path, path_of("never"));
	refuse(spec, a, b);
}

/* Every way to cut a capture short: refused, or whole up to the cut; never read as if nothing were missing. */
static void truncations(enum kind kind)
{
	char cut[128], spec[512], err[PORT_ERR_MAX];
	uint8_t data[4096];
	struct port *p;
	size_t size, at;
	unsigned int good = 0;
	FILE *f;

	f = fopen(path_of("short"), "w");
	header_put(f, kind, 1);
	for (at = 0; at < 3; at++)
		record_put(f, kind, data, 61, 61);
	fclose(f);
	f = fopen(path_of("short"), "r");
	size = fread(data, 1, sizeof(data), f);
	fclose(f);
	strcpy(cut, path_of("cut"));
	for (at = 0; at < size; at++) {
		f = fopen(cut, "w");
		assert_int_equal(fwrite(data, 1, at, f), at);
		fclose(f);
		snprintf(spec, sizeof(spec), "pcap:%s", cut);
		p = NULL;
		if (port_open(&p, spec, err)) {
			assert_non_null(strstr(err, cut));
			assert_null(strchr(err, '\n'));
			continue;
		}
		good++;
		p->ops->close(p);
	}
	/* Cut exactly between two records there is nothing to notice: after the first and after the second. */
	assert_int_equal(good, 2);
	unlink(cut);
	unlink(path_of("short"));
}

static void test_bad_input(void **state)
{
	uint8_t frame[FRAME_MAX] = { 0 };
	char path[128], spec[512];
	enum kind kind;
	FILE *f;

	for (kind = MICRO; kind <= NG; kind++)
		truncations(kind);
	strcpy(path, path_of("bad"));
	refuse_file(path, "No such file", path);
	refuse_file(dir, "not a regular file", dir);
	f = fopen(path, "w");
	fclose(f);
	refuse_file(path, "is empty", path);
	f = fopen(path, "w");
	fputs("#!/bin/sh\necho this is no capture at all, however long it may be\n", f);
	fclose(f);
	refuse_file(path, "not a pcap or pcapng file", path);

	f = fopen(path, "w");
	header_put(f, NANO, 1);
	fclose(f);
	refuse_file(path, "holds no frames", path);
	f = fopen(path, "w");
	header_put(f, NANO, 113);
	fclose(f);
	refuse_file(path, "LINUX_SLL", "not Ethernet");

	f = fopen(path, "w");
	header_put(f, NANO, 1);
	record_put(f, NANO, frame, 60, 60);
	record_put(f, NANO, frame, 96, 1514);
	fclose(f);
	refuse_file(path, "record 2 holds 96 of the frame's 1514 bytes", "snap length");
	f = fopen(path, "w");
	header_put(f, NANO, 1);
	record_put(f, NANO, frame, 60, 60);
	record_put(f, NANO, frame, 60, 60);
	record_put(f, NANO, frame, 10, 60);
	fseek(f, -18, SEEK_END);
	put32(f, 60, false);
	fclose(f);
	refuse_file(path, "truncated or damaged at record 3", "truncated");

	capture_make(path, NANO, 2);
	snprintf(spec, sizeof(spec), "pcap:%s,%s", path, path);
	refuse(spec, "both input and output", path);
	snprintf(spec, sizeof(spec), "pcap:%s,a,out=b", path);
	refuse(spec, "two outputs", "'a'");
	snprintf(spec, sizeof(spec), "pcap:%s,loop", path);
	refuse(spec, "loop=''", "number");
	snprintf(spec, sizeof(spec), "pcap:%s,out=", path);
	refuse(spec, "names no file", "out=");
	snprintf(spec, sizeof(spec), "pcap:%s,%s,lop=2", path, path_of("never"));
	refuse(spec, "no option 'lop'", "pcap:[IN]");
	snprintf(spec, sizeof(spec), "pcap:%s,/nonexistent/dir/out", path);
	refuse(spec, "cannot write '/nonexistent/dir/out'", "No such file");
	snprintf(spec, sizeof(spec), "pcap:%s,%s", path, dir);
	refuse(spec, "cannot write", "Is a directory");
	refuse("pcap:", "no file", "pcap:[IN]");
	unlink(path);
}

static void test_too_long_for_buffers(void **state)
{
	char spec[512];
	struct port *p;
	struct loop l;

	capture_make(path_of("in"), NANO, 2);
	snprintf(spec, sizeof(spec), "pcap:%s", path_of("in"));
	p = open_or_fail(spec);
	loop_init(&l, 64, 512);
	assert_int_equal(p->ops->start(p, &l.mem), -EMSGSIZE);
	loop_free(&l);
	loop_init(&l, 4, 2048);
	assert_int_equal(p->ops->start(p, &l.mem), -EMSGSIZE);
	loop_free(&l);
	loop_init(&l, 5, 2048);
	assert_int_equal(p->ops->start(p, &l.mem), 0);
	loop_post(&l, p);
	assert_int_equal(shovel(&l, p, UINT32_MAX), 2);
	p->ops->stop(p);
	p->ops->close(p);
	loop_free(&l);
	unlink(path_of("in"));
}

static void test_full_disk(void **state)
{
	struct rlimit old, lim;
	char spec[512], err[PORT_ERR_MAX] = "", out[128];
	struct port *p;
	struct loop l;
	FILE *f;
	int c;

	capture_make(path_of("in"), NANO, FRAMES);
	snprintf(spec, sizeof(spec), "pcap:%s,/dev/full", path_of("in"));
	refuse(spec, "cannot write '/dev/full'", "No space left");
	assert_int_equal(access("/dev/full", F_OK), 0);

	/* Room runs out on the way.  What had that name before stays as it was. */
	strcpy(out, path_of("out"));
	f = fopen(out, "w");
	fputs("mine", f);
	fclose(f);
	snprintf(spec, sizeof(spec), "pcap:%s,%s", path_of("in"), out);
	p = open_or_fail(spec);
	loop_init(&l, BUFS, 2048);
	assert_int_equal(p->ops->start(p, &l.mem), 0);
	loop_post(&l, p);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	lim.rlim_cur = 300000;
	setrlimit(RLIMIT_FSIZE, &lim);
	assert_int_equal(shovel(&l, p, UINT32_MAX), FRAMES);
	p->ops->stop(p);
	c = p->ops->finish(p, err);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(c, -EFBIG);
	assert_non_null(strstr(err, out));
	assert_non_null(strstr(err, "removed"));
	assert_true(p->stats.tx_error > 0 && p->stats.tx_frames + p->stats.tx_error == FRAMES);
	p->ops->close(p);
	assert_int_equal(files_in_dir(), 2);
	f = fopen(out, "r");
	assert_non_null(fgets(spec, sizeof(spec), f));
	fclose(f);
	assert_string_equal(spec, "mine");
	loop_free(&l);
	unlink(path_of("in"));
	unlink(out);
}

/* Only output; given up without finish() nothing stays behind. */
static void test_output_only(void **state)
{
	uint8_t frame[FRAME_MAX];
	struct p2p_seg s[2];
	char spec[512], err[PORT_ERR_MAX], out[128];
	const struct port_ops *own;
	struct port_ops others;
	struct port *p;
	struct loop l;
	uint32_t len;
	int pass;

	loop_init(&l, 16, 9728);
	strcpy(out, path_of("out"));
	snprintf(spec, sizeof(spec), "pcap:,%s", out);
	for (pass = 0; pass < 2; pass++) {
		p = open_or_fail(spec);
		assert_null(p->ops->exhausted);
		assert_int_equal(p->ops->start(p, &l.mem), 0);
		loop_post(&l, p);
		assert_int_equal(p->ops->rx_burst(p, s, 2), 0);
		len = frame_make(0, frame);
		s[0] = (struct p2p_seg){ .data = frame, .len = 13, .flags = P2P_SEG_MORE };
		s[1] = (struct p2p_seg){ .data = frame + 13, .len = len - 13 };
		assert_int_equal(p->ops->tx_burst(p, s, 1), 0);
		assert_int_equal(p->ops->tx_burst(p, s, 2), 2);
		assert_int_equal(p->ops->tx_done(p), 2);
		assert_false(port_pcap_quiet(p));
		/* Nor with operations of somebody who stands before it (faults/port.h). */
		others = *p->ops;
		own = p->ops;
		p->ops = &others;
		assert_false(port_pcap_quiet(p));
		p->ops = own;
		p->ops->control(p, 0);
		wait_quiet(p);
		assert_true(p2p_count_read(&p->stats.tx_frames) == 1);
		p->ops->stop(p);
		assert_int_equal(p->ops->tx_burst(p, s, 2), 0);
		if (pass)
			assert_int_equal(p->ops->finish(p, err), 0);
		p->ops->close(p);
		assert_int_equal(files_in_dir(), pass);
	}
	capture_check(out, 1, 1);
	unlink(out);
	snprintf(spec, sizeof(spec), "pcap:,out=%s", out);
	p = open_or_fail(spec);
	assert_int_equal(p->ops->finish(p, err), 0);
	p->ops->close(p);
	assert_int_equal(files_in_dir(), 1);
	unlink(out);
	loop_free(&l);
}

#define SLOW_LEN 9000u
#define SLOW_LATER 500u /* frames that come while the pipe is read at last */

static void slow_frame(uint32_t k, uint8_t *frame)
{
	memset(frame, (int)(k % 251), SLOW_LEN);
	memcpy(frame, &k, sizeof(k));
}

/* Sends frame k as two segments; false: the port does not take it now. */
static bool slow_send(struct port *p, uint32_t k)
{
	uint8_t frame[SLOW_LEN];
	struct p2p_seg s[2] = {
		{ .data = frame, .len = 77, .flags = P2P_SEG_MORE }, { .data = frame + 77, .len = SLOW_LEN - 77 },
	};
	unsigned int n;

	slow_frame(k, frame);
	n = p->ops->tx_burst(p, s, 2);
	assert_true(n == 0 || n == 2);
	assert_int_equal(p->ops->tx_done(p), n);
	memset(frame, 0xee, sizeof(frame)); /* done: the memory is ours again */
	return n;
}

struct reader {
	int fd;
	uint32_t frames, wrong;
};

static bool read_all(int fd, void *data, size_t len)
{
	size_t at = 0;
	ssize_t n;

	for (; at < len; at += (size_t)n) {
		n = read(fd, (uint8_t *)data + at, len - at);
		if (n <= 0)
			return false;
	}
	return true;
}

static void *reader_main(void *arg)
{
	uint8_t want[SLOW_LEN], have[SLOW_LEN];
	struct reader *r = arg;
	uint32_t head[6], rec[4];

	r->wrong += !read_all(r->fd, head, sizeof(head)) || head[0] != 0xa1b23c4d;
	for (; read_all(r->fd, rec, sizeof(rec)); r->frames++) {
		if (rec[2] != SLOW_LEN || rec[3] != SLOW_LEN || !read_all(r->fd, have, sizeof(have))) {
			r->wrong++;
			break;
		}
		slow_frame(r->frames, want);
		r->wrong += memcmp(have, want, sizeof(want)) != 0;
	}
	return NULL;
}

/* A pipe: opened for reading first, as opening it for writing waits for a reader. */
static struct port *slow_open(struct loop *l, struct reader *r)
{
	char spec[512];
	struct port *p;

	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	r->fd = open(path_of("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(r->fd >= 0);
	snprintf(spec, sizeof(spec), "pcap:,%s", path_of("fifo"));
	p = open_or_fail(spec);
	assert_int_equal(fcntl(r->fd, F_SETFL, 0), 0);
	loop_init(l, 16, 2048);
	assert_int_equal(p->ops->start(p, &l->mem), 0);
	return p;
}

/* Until the port takes no more; a port that waited for its reader would hang here. */
static uint32_t slow_fill(struct port *p)
{
	uint32_t k = 0;

	while (slow_send(p, k)) {
		k++;
		p->ops->control(p, 0);
		assert_true(k < 100000);
	}
	p->ops->control(p, 0);
	p->ops->arm(p, true);
	p->ops->arm(p, false);
	return k;
}

/* Nobody reads: nothing blocks, what does not fit is not taken. Then somebody does: all is there, each frame counted once. */
static void test_slow_output(void **state)
{
	struct reader r = { 0 };
	char err[PORT_ERR_MAX];
	pthread_t thread;
	struct port *p;
	struct loop l;
	uint32_t k, n;

	p = slow_open(&l, &r);
	k = slow_fill(p);
	assert_true(k > 100);
	assert_false(port_pcap_quiet(p));
	assert_true(p2p_count_read(&p->stats.tx_frames) < k);
	assert_int_equal(pthread_create(&thread, NULL, reader_main, &r), 0);
	for (n = k + SLOW_LATER; k < n;) {
		if (slow_send(p, k))
			k++;
		else
			usleep(100);
	}
	p->ops->stop(p);
	assert_int_equal(p->ops->finish(p, err), 0);
	assert_true(port_pcap_quiet(p));
	assert_true(p->stats.tx_frames == n && p->stats.tx_error == 0 && p->stats.copies == n);
	assert_true(p->stats.tx_bytes == (uint64_t)n * SLOW_LEN);
	p->ops->close(p);
	pthread_join(thread, NULL);
	assert_int_equal(r.wrong, 0);
	assert_int_equal(r.frames, n);
	close(r.fd);
	unlink(path_of("fifo"));
	loop_free(&l);
}

/* The reader goes away, or the port is given up, while the writing waits: both end, and every frame is accounted for. */
static void test_slow_given_up(void **state)
{
	struct reader r = { 0 };
	char err[PORT_ERR_MAX];
	struct port *p;
	struct loop l;
	uint32_t k;
	int pass;

	for (pass = 0; pass < 2; pass++) {
		p = slow_open(&l, &r);
		k = slow_fill(p);
		if (pass) {
			close(r.fd);
			wait_quiet(p);
			assert_true(slow_send(p, k));
			p->ops->stop(p);
			assert_int_equal(p->ops->finish(p, err), -EPIPE);
			assert_non_null(strstr(err, "incomplete"));
			assert_true(p->stats.tx_error > 0 && p->stats.tx_frames + p->stats.tx_error == k + 1);
			assert_int_equal(p->ops->finish(p, err), -EPIPE);
			p->ops->close(p);
		} else {
			p->ops->stop(p);
			p->ops->close(p);
			close(r.fd);
		}
		unlink(path_of("fifo"));
		loop_free(&l);
	}
}

/* A file that is cut short after it was opened ends the input and is reported. */
static void test_cut_while_read(void **state)
{
	char spec[512], err[PORT_ERR_MAX] = "";
	struct port *p;
	struct loop l;

	capture_make(path_of("in"), NANO, FRAMES);
	snprintf(spec, sizeof(spec), "pcap:%s,loop=2", path_of("in"));
	p = open_or_fail(spec);
	loop_init(&l, BUFS, 2048);
	assert_int_equal(p->ops->start(p, &l.mem), 0);
	loop_post(&l, p);
	assert_true(shovel(&l, p, 10) >= 10);
	assert_int_equal(truncate(path_of("in"), 1000000), 0);
	assert_true(shovel(&l, p, UINT32_MAX) < FRAMES);
	assert_true(p->ops->exhausted(p));
	p->ops->stop(p);
	assert_int_equal(p->ops->finish(p, err), -EIO);
	assert_non_null(strstr(err, "truncated"));
	p->ops->close(p);
	loop_free(&l);
	unlink(path_of("in"));
}

static int setup(void **state)
{
	strcpy(dir, "/tmp/p2pnic-test-pcap-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_bad_input),
		cmocka_unit_test(test_too_long_for_buffers), cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_output_only), cmocka_unit_test(test_cut_while_read),
		cmocka_unit_test(test_slow_output), cmocka_unit_test(test_slow_given_up),
	};

	return cmocka_run_group_tests_name("ports_pcap", tests, setup, teardown);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NETTLP_PORT 0x3000u
#define ETHER_BYTES 14u
#define IPV4_BYTES 20u
#define UDP_BYTES 8u
#define NETTLP_BYTES 6u
#define TLP_AT (ETHER_BYTES + IPV4_BYTES + UDP_BYTES + NETTLP_BYTES)
#define TLP_DATA_MAX 4096u
#define FRAME_MAX (TLP_AT + 16 + TLP_DATA_MAX)
#define CPL_UNSUPPORTED 1u

/* Fmt (bit 5: four double words of header, bit 6: data) and Type. */
#define FMT_4DW 0x20u
#define FMT_DATA 0x40u
#define TYPE_MEM 0x00u
#define TYPE_CPL 0x0au

struct fab_trace_file {
	pcap_t *pcap;
	pcap_dumper_t *out;
	uint64_t count, limit;
	int error;
	uint8_t frame[FRAME_MAX];
};

int fab_trace_open(struct fab_trace_file **out, const char *path, char err[FAB_ERR_MAX])
{
	struct fab_trace_file *t = calloc(1, sizeof(*t));
	FILE *f = NULL;
	int rc = -ENOMEM;

	if (!t)
		goto failed;
	t->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, 65535, PCAP_TSTAMP_PRECISION_NANO);
	if (!t->pcap)
		goto free_file;
	f = fopen(path, "wb");
	if (!f) {
		rc = -errno;
		goto close_pcap;
	}
	errno = ENOMEM;
	t->out = pcap_dump_fopen(t->pcap, f);
	if (!t->out) {
		rc = -errno;
		fclose(f);
		goto close_pcap;
	}
	*out = t;
	return 0;

close_pcap:
	pcap_close(t->pcap);
free_file:
	free(t);
failed:
	snprintf(err, FAB_ERR_MAX, "trace: cannot write '%.150s': %s", path, strerror(-rc));
	return rc;
}

static uint8_t *put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v & 0xffff);
}

/* The ones' complement sum of big-endian 16-bit words, not yet folded.  Nothing here has an odd length. */
static uint32_t sum16(uint32_t sum, const uint8_t *p, uint32_t bytes)
{
	uint32_t i;

	for (i = 0; i < bytes; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

static uint32_t sum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum + (sum >> 16)) & 0xffff;
}

/* Double words that hold len bytes from addr on. */
static uint32_t dwords(uint64_t addr, uint32_t len)
{
	return ((uint32_t)(addr & 3) + len + 3) / 4;
}

/* First byte of the header up to the length; tag bits 8 and 9 are T8 and T9 of the second byte. */
static uint8_t *put_common(uint8_t *p, uint32_t fmt_type, uint16_t tag, uint32_t dws)
{
	*p++ = (uint8_t)fmt_type;
	*p++ = (uint8_t)((tag >> 9 & 1) << 7 | (tag >> 8 & 1) << 3);
	return put16(p, dws & 0x3ff); /* 1024: 0 */
}

static uint8_t *put_request(uint8_t *p, const struct fab_tlp_view *v)
{
	uint32_t dws = dwords(v->addr, v->len), first = 0xfu << (v->addr & 3) & 0xf;
	uint32_t last = 0xfu >> (3 - ((v->addr + v->len - 1) & 3));
	uint32_t fmt = v->type == FAB_MWR ? FMT_DATA : 0;

	if (dws == 1) {
		first &= last;
		last = 0;
	}
	if (v->addr >> 32)
		fmt |= FMT_4DW;
	p = put_common(p, fmt | TYPE_MEM, v->tag, dws);
	p = put16(p, v->requester);
	*p++ = (uint8_t)v->tag;
	*p++ = (uint8_t)(last << 4 | first);
	if (v->addr >> 32)
		p = put32(p, (uint32_t)(v->addr >> 32));
	return put32(p, (uint32_t)v->addr & ~3u);
}

static uint8_t *put_completion(uint8_t *p, const struct fab_tlp_view *v)
{
	bool data = v->type == FAB_CPLD;
	uint32_t status = data ? 0 : CPL_UNSUPPORTED;

	p = put_common(p, (data ? FMT_DATA : 0) | TYPE_CPL, v->tag, data ? dwords(v->addr, v->len) : 0);
	p = put16(p, v->completer);
	p = put16(p, status << 13 | (v->remaining & 0xfff)); /* 4096: 0 */
	p = put16(p, v->requester);
	*p++ = (uint8_t)v->tag;
	*p++ = v->addr & 0x7f;
	return p;
}

static uint8_t *put_data(uint8_t *p, const struct fab_tlp_view *v)
{
	uint32_t bytes = 4 * dwords(v->addr, v->len);

	memset(p, 0, bytes);
	if (v->data)
		memcpy(p + (v->addr & 3), v->data, v->len);
	return p + bytes;
}

/* 10.X.Y.1 is the lower end of the link of node X.Y, 10.X.Y.2 the upper one; Ethernet addresses end likewise. */
static void put_ends(uint8_t *eth_dst, uint8_t *ip_src, const struct fab_tlp_view *v)
{
	uint16_t node = v->link_id >> 3;
	uint8_t lower[] = { 2, 0, 10, (uint8_t)(node >> 8), (uint8_t)node, 1 }, upper[6];

	memcpy(upper, lower, 6);
	upper[5] = 2;
	memcpy(eth_dst, v->up ? upper : lower, 6);
	memcpy(eth_dst + 6, v->up ? lower : upper, 6);
	memcpy(ip_src, eth_dst + 8, 4);
	memcpy(ip_src + 4, eth_dst + 2, 4);
}

/* Everything before the TLP, whose `bytes` are in place. */
static void put_envelope(uint8_t *frame, const struct fab_tlp_view *v, uint64_t seq, uint32_t bytes)
{
	uint8_t *ip = frame + ETHER_BYTES, *udp = ip + IPV4_BYTES, *p;
	uint32_t udp_bytes = UDP_BYTES + NETTLP_BYTES + bytes, port = NETTLP_PORT + (v->tag & 0xf), sum;

	put_ends(frame, ip + 12, v);
	put16(frame + 12, 0x0800);
	p = put32(ip, 0x45000000 + IPV4_BYTES + udp_bytes);
	p = put32(p, (uint32_t)(seq & 0xffff) << 16 | 0x4000); /* don't fragment */
	put32(p, 0x40110000);                                  /* TTL 64, UDP */
	put16(ip + 10, ~sum_fold(sum16(0, ip, IPV4_BYTES)));
	p = put32(udp, port << 16 | port);
	p = put32(p, udp_bytes << 16);
	p = put16(p, (uint32_t)seq);
	put32(p, (uint32_t)(v->at_ps / FAB_PS_PER_NS));
	sum = ~sum_fold(sum16(17 + udp_bytes, ip + 12, 8 + udp_bytes)) & 0xffff;
	put16(udp + 6, sum ? sum : 0xffff); /* 0 would mean that there is none */
}

void fab_trace_write(void *arg, const struct fab_tlp_view *v)
{
	struct fab_trace_file *t = arg;
	struct pcap_pkthdr h = { 0 };
	uint8_t *tlp = t->frame + TLP_AT, *end;

	if (t->error || (t->limit && t->count >= t->limit))
		return;
	end = v->type == FAB_MWR || v->type == FAB_MRD ? put_request(tlp, v) : put_completion(tlp, v);
	if (v->type == FAB_MWR || v->type == FAB_CPLD)
		end = put_data(end, v);
	put_envelope(t->frame, v, t->count, (uint32_t)(end - tlp));
	h.ts.tv_sec = (time_t)(v->at_ps / FAB_PS_PER_S);
	h.ts.tv_usec = (suseconds_t)(v->at_ps % FAB_PS_PER_S / FAB_PS_PER_NS); /* nanoseconds: the file's precision */
	h.caplen = h.len = (uint32_t)(end - t->frame);
	errno = 0;
	pcap_dump((u_char *)t->out, &h, t->frame);
	if (ferror(pcap_dump_file(t->out)))
		t->error = errno ? -errno : -EIO;
	else
		t->count++;
}

void fab_trace_limit(struct fab_trace_file *t, uint64_t limit)
{
	t->limit = limit;
}

uint64_t fab_trace_count(const struct fab_trace_file *t)
{
	return t->count;
}

int fab_trace_close(struct fab_trace_file *t)
{
	int rc;

	if (pcap_dump_flush(t->out) && !t->error)
		t->error = errno ? -errno : -EIO;
	rc = t->error;
	pcap_dump_close(t->out);
	pcap_close(t->pcap);
	free(t);
	return rc;
}

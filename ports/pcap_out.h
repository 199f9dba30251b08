/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture file being written by a thread of its own: a disk that is slow, or a
 * pipe that nobody reads, holds up that thread and never the worker.
 *
 * The worker copies records into a ring of bytes (put), shows them to the
 * thread (publish) and wakes it when there is enough or at its next rest (kick).
 *
 * THREADS  open, finish and close: any, but not at once with the others;
 *   put, publish and kick: the worker; quiet: any thread, any time before close.
 * BOOKS    `stats` gets tx_frames, tx_bytes and copies once a frame is in the
 *   file, tx_error once it is known that it will not be.  Every frame that put
 *   took is in one of the two when quiet() is true, and after finish().
 */
#ifndef PORTS_PCAP_OUT_H
#define PORTS_PCAP_OUT_H

#include <time.h>

#include "ports/port.h"

#define PCAP_OUT_RING_BYTES (8u << 20)
#define PCAP_OUT_CHUNK_BYTES (1u << 20) /* so much is worth a wake-up at once */

struct pcap_out;

/*
 * Makes the file and writes its header; `in_path` is the
 * input, which must be another file, or NULL; `stats` must outlive the object.
 * Returns 0 or -errno with err set.
 */
int pcap_out_open(struct pcap_out **out, const char *path, const char *in_path, struct port_stats *stats,
		  char err[PORT_ERR_MAX]);
/* Starts the thread that writes, if it does not run; before the first frame is put. */
int pcap_out_start(struct pcap_out *o);
/*
 * Copies one frame of len bytes, all segments together.  False: there is no room
 * for it now.  A frame that could never fit is taken and counted as tx_error.
 */
bool pcap_out_put(struct pcap_out *o, const struct p2p_seg *segs, unsigned int n, uint32_t len,
		  const struct timespec *now);
/* Shows the thread all that was put, and wakes it if that is much, or if `full`. */
void pcap_out_publish(struct pcap_out *o, bool full);
/* Wakes the thread if it was not told of all that was published. */
void pcap_out_kick(struct pcap_out *o);
/* All frames that were published are in the file, or counted as tx_error. */
bool pcap_out_quiet(const struct pcap_out *o);
/*
 * Waits until everything is written, ends the thread and gives the file its
 * name.  Returns 0, or -errno of the first write that failed with err set; may
 * be called again, and says the same.
 */
int pcap_out_finish(struct pcap_out *o, char err[PORT_ERR_MAX]);
/* Gives up what was not finished: nothing more is written, the unfinished file is removed.  NULL does nothing. */
void pcap_out_close(struct pcap_out *o);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake_fw.h"

static void bump(uint32_t *c)
{
	__atomic_fetch_add(c, 1, __ATOMIC_RELAXED);
}

size_t fw_nic_bytes(void)
{
	return sizeof(struct fw_nic);
}

int fw_nic_init(struct fw_nic *nic, struct board_ctx *b, const struct fw_strap *strap)
{
	nic->b = b;
	nic->strap = *strap;
	return 0;
}

void fw_nic_reset(struct fw_nic *nic, bool keep_persist)
{
	board_ports_stop(nic->b);
	board_layout_drop(nic->b);
	nic->configured = nic->running = false;
	nic->persist &= keep_persist;
	nic->resets++;
	memset(nic->regs, 0, sizeof(nic->regs));
}

uint64_t fw_step(struct fw_nic *nic)
{
	struct p2p_seg segs[32];

	bump(&nic->steps);
	if (nic->step)
		return nic->step(nic, nic->arg);
	if (nic->running && board_rx_burst(nic->b, 0, segs, 32))
		return 0;
	return UINT64_MAX;
}

void fw_sleep(struct fw_nic *nic, bool asleep)
{
	bump(asleep ? &nic->sleeps : &nic->wakes);
}

uint64_t fw_reg_read(struct fw_nic *nic, uint32_t off, uint32_t bytes)
{
	return bytes == 4 && off < 0x100 && off % 4 == 0 ? nic->regs[off / 4] : UINT64_MAX;
}

static void command(struct fw_nic *nic, uint32_t v)
{
	nic->persist = v & P2P_CTL_PERSIST;
	if (v & P2P_CTL_RESET)
		fw_nic_reset(nic, true);
	if (v & P2P_CTL_CONFIGURE) {
		nic->shape = (struct p2p_shape){ .nics = nic->regs[P2P_NUM_NICS / 4], .ports = nic->strap.ports,
						 .slots = nic->regs[P2P_SLOTS / 4], .buf_size = nic->strap.buf_size,
						 .rx_bufs = nic->regs[P2P_RX_BUFS / 4], .queues = nic->strap.max_queues };
		nic->regs[P2P_ERROR / 4] = -board_layout(nic->b, &nic->shape);
		nic->configured = nic->regs[P2P_ERROR / 4] == 0;
	}
	if (v & P2P_CTL_ENABLE && nic->configured)
		nic->running = board_ports_start(nic->b) == 0;
}

void fw_reg_write(struct fw_nic *nic, uint32_t off, uint32_t bytes, uint64_t value)
{
	if (bytes != 4 || off >= 0x100 || off % 4)
		return;
	nic->regs[off / 4] = value;
	if (off == P2P_CONTROL)
		command(nic, value);
}

uint64_t fw_reg_read_all(struct fw_nic *const nic[], unsigned int n, uint32_t off, uint32_t bytes)
{
	return fw_reg_read(nic[0], off, bytes);
}

void fw_reg_write_all(struct fw_nic *const nic[], unsigned int n, uint32_t off, uint32_t bytes, uint64_t value)
{
	for (unsigned int q = 0; q < n; q++)
		fw_reg_write(nic[q], off, bytes, value);
}

bool fw_nic_running(const struct fw_nic *nic)
{
	return nic->running;
}

bool fw_nic_persist(const struct fw_nic *nic)
{
	return nic->persist;
}

const struct p2p_shape *fw_nic_shape(const struct fw_nic *nic)
{
	return nic->configured ? &nic->shape : NULL;
}

enum p2p_mode fw_nic_mode(const struct fw_nic *nic)
{
	return P2P_MODE_WR;
}

unsigned int fw_nic_index(const struct fw_nic *nic)
{
	return 0;
}

const uint64_t *fw_nic_events(const struct fw_nic *nic)
{
	return nic->events;
}

const uint64_t *fw_nic_punts(const struct fw_nic *nic)
{
	return nic->punts;
}

const uint64_t *fw_nic_drops(const struct fw_nic *nic)
{
	return nic->drops;
}

uint64_t fw_nic_held(const struct fw_nic *nic)
{
	return 0;
}

int fw_peer_info(const struct fw_nic *nic, unsigned int peer, struct fw_peer_info *info)
{
	memset(info, 0, sizeof(*info));
	return 0;
}

enum p2p_placement fw_nic_placement(const struct fw_nic *nic, unsigned int x)
{
	return P2P_PLACE_COPY;
}

/* What the real one does: the port begins anew without the memory.  The map must still be there. */
void fw_place_lost(struct fw_nic *nic, unsigned int x)
{
	nic->lost_maps = nic->b->nic->iommu.n;
	nic->lost++;
	assert_int_equal(board_place(nic->b, x, NULL, 0, NULL), 0);
	assert_int_equal(board_port_restart(nic->b, x), 0);
}

/* --- the port --- */

static int fp_start(struct port *p, const struct port_memory *mem)
{
	struct fake_port *f = (struct fake_port *)p;

	f->mem = *mem;
	bump(&f->started);
	return 0;
}

static void fp_stop(struct port *p)
{
	bump(&((struct fake_port *)p)->stopped);
}

static unsigned int fp_rx(struct port *p, struct p2p_seg *segs, unsigned int n)
{
	struct fake_port *f = (struct fake_port *)p;
	uint64_t k;

	if (read(f->fd, &k, sizeof(k)) != sizeof(k))
		return 0;
	p2p_count(&p->stats.rx_frames, k);
	return k < n ? k : n;
}

static unsigned int fp_segs(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	return n;
}

static unsigned int fp_done(struct port *p)
{
	return 0;
}

static void fp_control(struct port *p, uint64_t now_ns)
{
	bump(&((struct fake_port *)p)->controls);
}

static unsigned int fp_fds(struct port *p, int *fds, unsigned int max, uint32_t *gen)
{
	fds[0] = ((struct fake_port *)p)->fd;
	return 1;
}

static void fp_arm(struct port *p, bool sleeping)
{
	if (sleeping)
		bump(&((struct fake_port *)p)->arms);
}

static uint64_t fp_next(struct port *p, uint64_t now_ns)
{
	uint64_t t = __atomic_load_n(&((struct fake_port *)p)->next_ns, __ATOMIC_RELAXED);

	return t ? t : UINT64_MAX;
}

static bool fp_link(struct port *p)
{
	return true;
}

static struct port *fp_queue(struct port *p, unsigned int q)
{
	struct fake_port *f = (struct fake_port *)p;

	return q == 1 && f->second ? &f->second->port : NULL;
}

static bool fp_in_order(struct port *p)
{
	return !((struct fake_port *)p)->shuffles;
}

static const struct port_ops fake_port_ops = {
	.scheme = "fake", .help = "", .start = fp_start, .stop = fp_stop, .rx_burst = fp_rx, .rx_post = fp_segs,
	.tx_burst = fp_segs, .tx_done = fp_done, .control = fp_control, .fds = fp_fds, .arm = fp_arm,
	.next_event = fp_next, .link_up = fp_link, .in_order = fp_in_order, .queue = fp_queue,
};

void fake_port_init(struct fake_port *p)
{
	memset(p, 0, sizeof(*p));
	p->port.ops = &fake_port_ops;
	snprintf(p->port.name, sizeof(p->port.name), "fake:");
	p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(p->fd >= 0);
}

void fake_port_fini(struct fake_port *p)
{
	close(p->fd);
}

/* --- the NIC --- */

struct soft_nic *fake_nic_create(const char *name, struct fake_port *p)
{
	struct soft_nic_opts opts = { .name = name, .mem_bytes = (p->second ? 8 : 2) << 20, .ports = 1, .port = { &p->port },
				      .queues = p->second ? 2 : 1 };
	struct soft_nic *nic = NULL;
	char err[SOFT_ERR_MAX] = "";

	if (soft_nic_create(&nic, &opts, err) != 0)
		fail_msg("%s", err);
	fake_nic_command(nic, 6);
	return nic;
}

void fake_nic_command(struct soft_nic *nic, uint16_t command_reg)
{
	assert_int_equal(soft_function_ops.region_write(nic, 7, 4, &command_reg, 2), 2);
}

void fake_reg_write(struct soft_nic *nic, uint32_t off, uint32_t v)
{
	assert_int_equal(soft_function_ops.region_write(nic, 0, off, &v, 4), 4);
}

uint32_t fake_reg_read(struct soft_nic *nic, uint32_t off)
{
	uint32_t v;

	assert_int_equal(soft_function_ops.region_read(nic, 0, off, &v, 4), 4);
	return v;
}

void fake_nic_configure(struct soft_nic *nic, uint32_t nics, uint32_t slots, uint32_t rx_bufs)
{
	fake_reg_write(nic, P2P_NUM_NICS, nics);
	fake_reg_write(nic, P2P_SLOTS, slots);
	fake_reg_write(nic, P2P_RX_BUFS, rx_bufs);
	fake_reg_write(nic, P2P_CONTROL, P2P_CTL_CONFIGURE);
	assert_int_equal(fake_reg_read(nic, P2P_ERROR), 0);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio-user on the wire, protocol 0.1.
 *
 * Source: "vfio-user Protocol Specification", docs/interop/vfio-user.rst of
 * QEMU (the same text as docs/vfio-user.rst of libvfio-user); the section is
 * named at each struct.  Constants that the text takes from <linux/vfio.h>
 * carry their VFIO names there.
 *
 * BYTE ORDER: the text says that of the host, both ends being on one.  We read
 * and write little-endian, which is the same on every host that this builds
 * for; a big-endian host would need native words here.
 *
 * FRAMING: a message is a header and header.size - 16 bytes of body, sent over
 * a stream socket; descriptors ride as SCM_RIGHTS on the header's first byte.
 *
 * TRUST: everything here is the other end's word.  Copy, then check.
 */
#ifndef VFIO_USER_PROTO_H
#define VFIO_USER_PROTO_H

#include <assert.h>

#include <p2pnic/types.h>

#define VFU_MAJOR 0
#define VFU_MINOR 1

/* "Commands" */
enum vfu_command {
	VFU_VERSION = 1,
	VFU_DMA_MAP = 2,
	VFU_DMA_UNMAP = 3,
	VFU_DEVICE_GET_INFO = 4,
	VFU_DEVICE_GET_REGION_INFO = 5,
	VFU_DEVICE_GET_REGION_IO_FDS = 6,
	VFU_DEVICE_GET_IRQ_INFO = 7,
	VFU_DEVICE_SET_IRQS = 8,
	VFU_REGION_READ = 9,
	VFU_REGION_WRITE = 10,
	VFU_DMA_READ = 11, /* server to client, as the next */
	VFU_DMA_WRITE = 12,
	VFU_DEVICE_RESET = 13,
	VFU_REGION_WRITE_MULTI = 15,
	VFU_DEVICE_FEATURE = 16,
	VFU_MIG_DATA_READ = 17,
	VFU_MIG_DATA_WRITE = 18,
};

/* "Header" */
#define VFU_F_TYPE_MASK 0xfu
#define VFU_F_COMMAND 0u
#define VFU_F_REPLY 1u
#define VFU_F_NO_REPLY (1u << 4)
#define VFU_F_ERROR (1u << 5)

struct vfu_header {
	le16 id; /* the sender's own; echoed in the reply */
	le16 command;
	le32 size; /* of the whole message */
	le32 flags;
	le32 error; /* errno in an error reply, which has no body */
};

static_assert(sizeof(struct vfu_header) == 16, "vfu_header");
static_assert(offsetof(struct vfu_header, size) == 4, "vfu_header.size");
static_assert(offsetof(struct vfu_header, flags) == 8, "vfu_header.flags");
static_assert(offsetof(struct vfu_header, error) == 12, "vfu_header.error");

/* "VFIO_USER_VERSION": followed by JSON with its terminating NUL, or by nothing. */
struct vfu_version {
	le16 major;
	le16 minor;
};

static_assert(sizeof(struct vfu_version) == 4, "vfu_version");

/* What holds for an end that does not say: "VFIO_USER_VERSION", table of capabilities. */
#define VFU_DEFAULT_MAX_MSG_FDS 1u
#define VFU_DEFAULT_MAX_DATA_XFER 1048576u
#define VFU_DEFAULT_MAX_DMA_MAPS 65535u
#define VFU_DEFAULT_PGSIZES 4096u

/* "VFIO_USER_DMA_MAP" */
#define VFU_DMA_READABLE 1u
#define VFU_DMA_WRITEABLE 2u

struct vfu_dma_map {
	le32 argsz;
	le32 flags;
	le64 offset; /* in the descriptor that comes along, if one does */
	le64 address;
	le64 size;
};

static_assert(sizeof(struct vfu_dma_map) == 32, "vfu_dma_map");
static_assert(offsetof(struct vfu_dma_map, offset) == 8, "vfu_dma_map.offset");
static_assert(offsetof(struct vfu_dma_map, address) == 16, "vfu_dma_map.address");
static_assert(offsetof(struct vfu_dma_map, size) == 24, "vfu_dma_map.size");

/* "VFIO_USER_DMA_UNMAP"; the flag is VFIO's own: everything, address and size being 0. */
#define VFU_DMA_UNMAP_ALL 2u

struct vfu_dma_unmap {
	le32 argsz;
	le32 flags;
	le64 address;
	le64 size;
};

static_assert(sizeof(struct vfu_dma_unmap) == 24, "vfu_dma_unmap");
static_assert(offsetof(struct vfu_dma_unmap, address) == 8, "vfu_dma_unmap.address");
static_assert(offsetof(struct vfu_dma_unmap, size) == 16, "vfu_dma_unmap.size");

/* "VFIO_USER_DEVICE_GET_INFO" */
#define VFU_DEVICE_RESETTABLE 1u
#define VFU_DEVICE_PCI 2u

struct vfu_device_info {
	le32 argsz;
	le32 flags;
	le32 num_regions;
	le32 num_irqs;
};

static_assert(sizeof(struct vfu_device_info) == 16, "vfu_device_info");
static_assert(offsetof(struct vfu_device_info, num_irqs) == 12, "vfu_device_info.num_irqs");

/* "VFIO_USER_DEVICE_GET_REGION_INFO" */
#define VFU_REGION_READABLE 1u
#define VFU_REGION_WRITEABLE 2u
#define VFU_REGION_MMAP 4u
#define VFU_REGION_CAPS 8u

struct vfu_region_info {
	le32 argsz;
	le32 flags;
	le32 index;
	le32 cap_offset; /* from the start of this struct; 0: none */
	le64 size;
	le64 offset; /* for mmap() of the descriptor */
};

static_assert(sizeof(struct vfu_region_info) == 32, "vfu_region_info");
static_assert(offsetof(struct vfu_region_info, cap_offset) == 12, "vfu_region_info.cap_offset");
static_assert(offsetof(struct vfu_region_info, size) == 16, "vfu_region_info.size");
static_assert(offsetof(struct vfu_region_info, offset) == 24, "vfu_region_info.offset");

/* "VFIO region capabilities" */
#define VFU_CAP_SPARSE_MMAP 1
#define VFU_CAP_TYPE 2
#define VFU_CAP_MSIX_MAPPABLE 3

struct vfu_cap {
	le16 id;
	le16 version;
	le32 next; /* from the start of the region info; 0: the last */
};

struct vfu_cap_sparse_mmap {
	struct vfu_cap header;
	le32 nr_areas;
	le32 reserved; /* nr_areas of struct vfu_mmap_area follow */
};

struct vfu_mmap_area {
	le64 offset; /* within the region */
	le64 size;
};

struct vfu_cap_type {
	struct vfu_cap header;
	le32 type;
	le32 subtype;
};

static_assert(sizeof(struct vfu_cap) == 8, "vfu_cap");
static_assert(offsetof(struct vfu_cap, next) == 4, "vfu_cap.next");
static_assert(sizeof(struct vfu_cap_sparse_mmap) == 16, "vfu_cap_sparse_mmap");
static_assert(sizeof(struct vfu_mmap_area) == 16, "vfu_mmap_area");
static_assert(sizeof(struct vfu_cap_type) == 16, "vfu_cap_type");

/*
 * Our device-specific regions: <linux/vfio.h> lets a PCI vendor use bit 31 and
 * its vendor ID as the type; the subtypes below it are the vendor's.  Subtype
 * VFU_SUBTYPE_SEGMENT + s is segment s of device memory.
 */
#define VFU_TYPE_PCI_VENDOR (1u << 31)
#define VFU_SUBTYPE_SEGMENT 0x100u

/* "VFIO_USER_DEVICE_GET_REGION_IO_FDS" */
struct vfu_region_io_fds {
	le32 argsz;
	le32 flags;
	le32 index;
	le32 count;
};

static_assert(sizeof(struct vfu_region_io_fds) == 16, "vfu_region_io_fds");

/* "VFIO_USER_DEVICE_GET_IRQ_INFO" */
#define VFU_IRQ_EVENTFD 1u
#define VFU_IRQ_MASKABLE 2u
#define VFU_IRQ_AUTOMASKED 4u
#define VFU_IRQ_NORESIZE 8u

struct vfu_irq_info {
	le32 argsz;
	le32 flags;
	le32 index;
	le32 count;
};

static_assert(sizeof(struct vfu_irq_info) == 16, "vfu_irq_info");

/* "VFIO_USER_DEVICE_SET_IRQS" */
#define VFU_SET_DATA_NONE (1u << 0)
#define VFU_SET_DATA_BOOL (1u << 1)
#define VFU_SET_DATA_EVENTFD (1u << 2)
#define VFU_SET_DATA_MASK 7u
#define VFU_SET_ACTION_MASK (1u << 3)
#define VFU_SET_ACTION_UNMASK (1u << 4)
#define VFU_SET_ACTION_TRIGGER (1u << 5)
#define VFU_SET_ACTION_BITS (7u << 3)

struct vfu_irq_set {
	le32 argsz;
	le32 flags;
	le32 index;
	le32 start;
	le32 count; /* with DATA_BOOL count bytes follow */
};

static_assert(sizeof(struct vfu_irq_set) == 20, "vfu_irq_set");
static_assert(offsetof(struct vfu_irq_set, count) == 16, "vfu_irq_set.count");

/* "VFIO_USER_REGION_READ", "VFIO_USER_REGION_WRITE"; the data follow. */
struct vfu_region_access {
	le64 offset;
	le32 region;
	le32 count;
};

static_assert(sizeof(struct vfu_region_access) == 16, "vfu_region_access");
static_assert(offsetof(struct vfu_region_access, count) == 12, "vfu_region_access.count");

/* "VFIO_USER_DMA_READ", "VFIO_USER_DMA_WRITE"; the data follow. */
struct vfu_dma_access {
	le64 address;
	le64 count;
};

static_assert(sizeof(struct vfu_dma_access) == 16, "vfu_dma_access");
static_assert(offsetof(struct vfu_dma_access, count) == 8, "vfu_dma_access.count");

/* "VFIO_USER_REGION_WRITE_MULTI": the count, then so many writes. */
struct vfu_write_multi {
	le64 wr_cnt;
};

struct vfu_write_one {
	le64 offset;
	le32 region;
	le32 count; /* 8 at most */
	uint8_t data[8];
};

static_assert(sizeof(struct vfu_write_multi) == 8, "vfu_write_multi");
static_assert(sizeof(struct vfu_write_one) == 24, "vfu_write_one");
static_assert(offsetof(struct vfu_write_one, data) == 16, "vfu_write_one.data");

/* The longest message either end takes: the data of one access and the fields before them. */
#define VFU_MSG_OVERHEAD (sizeof(struct vfu_header) + 64)
/* The longest VERSION message. */
#define VFU_VERSION_MAX_BYTES 16384u
/* Descriptors we take in one message; QEMU refuses a server that says more. */
#define VFU_MAX_MSG_FDS 16

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a box can do peer to peer, read out of sysfs.
 *
 *   doc_box_read()   every PCI function, the tree they hang in, IOMMU, CPU
 *   doc_pairs_make() for every two devices: the path, a verdict, what it would carry
 *   doc_report_...() the same on a terminal, as JSON, as a graph
 *   doc_box_save()   what doc_box_read() reads, into a directory that it reads on another box
 *
 * A TREE is a directory that holds what /sys does: bus/pci/devices, and behind its links devices/; class/iommu,
 * kernel/iommu_groups, module/vfio.  In a saved one proc/cpuinfo lies beside them; the machine's own is in /proc.
 * Entries of bus/pci/devices may also be folders: the bridges' bus numbers then say what hangs below what.
 *
 * TRUST  A saved tree comes from somebody else: every file is bounded, a link that leads out of the tree is refused,
 * and what contradicts itself is an error.  Nothing in a tree is written to.
 *
 * UNITS  bytes; Mpps and Gb/s with preamble, FCS and gap (20 bytes a frame more), as everywhere in the project.
 *
 * ERRORS  -errno, and in err one line that names file and device.  -EINVAL: the tree is truncated or contradicts
 * itself.
 *
 * Source: PCI Express Base Specification 5.0 (7.5 configuration space, 7.7.8 ACS, 6.12 what ACS redirects, 7.8.6
 * resizable BARs, 2.2.2 MPS, 1.3.1 what a root complex forwards), Linux's Documentation/ABI/testing/sysfs-bus-pci.
 */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define DOC_ERR_MAX 512
#define DOC_TEXT_MAX 1024
#define DOC_NAME_MAX 24 /* "0000:03:00.0", domains may be longer */
#define DOC_MAX_DEVS 8192
#define DOC_NUM_BARS 6
#define DOC_NETS 4
#define DOC_CONFIG_MAX 4096
#define DOC_MIN_BAR (2u << 20) /* device memory of a P2PNIC at least: private segment, rings, packet buffers */

enum doc_kind { DOC_OTHER, DOC_NIC, DOC_BRIDGE };

struct doc_bar {
	bool there, io, pref, is64;
	bool assigned;
	uint64_t base, bytes;
	uint64_t can; /* resizable: bit n says that it could be 2^n MiB; 0: it is not resizable */
};

/* gen 0 or width 0: not known, or no link at all. */
struct doc_link {
	unsigned int gen, width;
};

/* ACS control as the specification numbers its bits. */
enum doc_acs {
	DOC_ACS_SV = 1,
	DOC_ACS_TB = 2,
	DOC_ACS_RR = 4,
	DOC_ACS_CR = 8,
	DOC_ACS_UF = 16,
	DOC_ACS_EC = 32,
	DOC_ACS_DT = 64
};

struct doc_dev {
	char name[DOC_NAME_MAX];
	unsigned int domain, bus, slot, fn;
	int parent; /* the bridge above; -1: on a root bus */
	enum doc_kind kind;
	unsigned int vendor, device, class_code; /* class_code: 24 bits */
	char text[96];				 /* vendor and device by name */
	unsigned int secondary, subordinate;	 /* bridge */

	unsigned int config_bytes;	 /* that could be read: 64 without rights */
	bool gone;			 /* configuration space reads all ones */
	bool pcie_known;		 /* false: configuration space too short to say */
	int pcie_type;			 /* the PCI Express capability's; -1: conventional, or not known */
	unsigned int port;		 /* port number, of egress control vectors */
	unsigned int power;		 /* 0-3: D state */
	unsigned int mps, mps_max, mrrs; /* 0: not known */
	bool relaxed;			 /* relaxed ordering is enabled */
	struct doc_link now,
		max;	     /* of the link above (endpoint, upstream port) or below (root port, downstream port) */
	bool acs_known, acs; /* known: either there is no such capability or it was read */
	unsigned int acs_ctrl;
	unsigned int egress_bits; /* of the vector that follows */
	uint32_t egress[8];

	int numa;	     /* -1: none */
	int group;	     /* IOMMU group; -1: none */
	bool noiommu;	     /* the group is VFIO's stand-in for one */
	char iommu_type[16]; /* "identity", "DMA", "DMA-FQ", ...; "": not told */
	char driver[32];     /* "": none */
	char net[DOC_NETS][16];
	unsigned int num_nets;
	struct doc_bar bar[DOC_NUM_BARS];
};

struct doc_cpu {
	char vendor[16]; /* "": not known */
	unsigned int family;
	char model[64];
};

struct doc_box {
	struct doc_dev *dev; /* by address */
	unsigned int n;
	bool iommu;	   /* there is one, whoever uses it */
	bool short_config; /* of some function only 64 bytes could be read */
	struct doc_cpu cpu;
};

/* root NULL: this machine's /sys. */
int doc_box_read(struct doc_box *box, const char *root, char err[DOC_ERR_MAX]);
void doc_box_free(struct doc_box *box);
int doc_box_find(const struct doc_box *box,
		 const char *name); /* a function's number by address, "0000:" may be left out; -1 */
/* A NIC, or another function with a memory BAR of DOC_MIN_BAR or more: worth a line and pairs. */
bool doc_dev_counts(const struct doc_dev *d);
/* The largest memory BAR: its number, or -1. */
int doc_dev_bar(const struct doc_dev *d);
/* Asleep, but as vfio-pci leaves what nobody has open: whoever opens it wakes it. */
bool doc_dev_idle(const struct doc_dev *d);
/* The link between d and the port above it, as it runs and as both ends could; false: d hangs on none, or nothing is
 * known. */
bool doc_dev_link(const struct doc_box *box, const struct doc_dev *d, struct doc_link *now, struct doc_link *could);
/* A port whose ACS bits decide about traffic between devices below it. */
bool doc_dev_downstream(const struct doc_dev *d);

/*
 * into must not exist or be empty.  Of configuration space only headers and the capabilities read here are kept: no
 * serial numbers, nothing vendor-specific; of network interfaces the names alone.
 */
int doc_box_save(const char *root, const char *into, char err[DOC_ERR_MAX]);

/* ---- pairs ---- */
#define DOC_PATHS(X)                                                                                                   \
	X(SAME_DEVICE, "same-device", "functions of one device")                                                       \
	X(SAME_SWITCH, "same-switch", "below one PCI Express switch")                                                  \
	X(SAME_BUS, "same-bus", "on one conventional PCI bus")                                                         \
	X(ROOT_PORTS, "root-ports", "through the root complex, from one root port to another")                         \
	X(HOST_BRIDGES, "host-bridges", "through the root complex, from one host bridge to another of the same node")  \
	X(SOCKETS, "sockets", "across sockets")
#define X(name, ...) DOC_PATH_##name,
enum doc_path { DOC_PATHS(X) DOC_NUM_PATHS };
#undef X
extern const char *const doc_path_names[DOC_NUM_PATHS], *const doc_path_texts[DOC_NUM_PATHS];

enum doc_verdict { DOC_DIRECT, DOC_THROUGH_ROOT, DOC_REFUSED };
extern const char *const doc_verdict_names[3];

enum doc_mode { DOC_WR, DOC_RD, DOC_BN, DOC_NUM_MODES };
extern const char *const doc_mode_names[DOC_NUM_MODES];
#define DOC_NUM_SIZES 3
extern const unsigned int doc_sizes[DOC_NUM_SIZES]; /* frame bytes, FCS included */

/* What one direction of the pair carries, the slower of the two; 0 Mpps where known is false. */
struct doc_rate {
	bool works; /* the mode can be used at all */
	bool known; /* some link's limit is known */
	double mpps[DOC_NUM_SIZES];
	char bound[64]; /* what stops 64-byte frames: "0000:03:00.0's link, upwards" */
};

struct doc_pair {
	unsigned int a, b; /* numbers in the box, a < b */
	enum doc_path path;
	int meet; /* the bridge under which they meet; -1: none */
	enum doc_verdict verdict;
	bool certain; /* false: something had to be assumed, and the reason says what */
	char reason[DOC_TEXT_MAX], remedy[DOC_TEXT_MAX];
	struct doc_rate rate[DOC_NUM_MODES];
};
struct doc_pairs {
	struct doc_pair *pair;
	unsigned int n;
};
/* chosen: numbers of the devices to pair with each other, or NULL for all that count. */
int doc_pairs_make(const struct doc_box *box, const unsigned int *chosen, unsigned int num_chosen,
		   struct doc_pairs *out, char err[DOC_ERR_MAX]);
void doc_pairs_free(struct doc_pairs *p);
double doc_gbps(double mpps, unsigned int frame_bytes);

/* ---- what it says ---- */
/* What a device's user should know of it, a line each, with the command that mends it where there is one. */
#define DOC_MAX_NOTES 10
struct doc_notes {
	unsigned int n;
	char text[DOC_MAX_NOTES][DOC_TEXT_MAX];
};
void doc_dev_notes(const struct doc_box *box, const struct doc_dev *d, struct doc_notes *out);
/* A terminal's.  all: pairs without a NIC, too. */
void doc_report_text(const struct doc_box *box, const struct doc_pairs *p, bool all, FILE *to);
/* 0 or -ENOMEM */
int doc_report_json(const struct doc_box *box, const struct doc_pairs *p, FILE *to);
void doc_report_dot(const struct doc_box *box, const struct doc_pairs *p, FILE *to);

#endif

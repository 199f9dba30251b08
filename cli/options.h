/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of every command (see opts.h for the columns). */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli/opts.h"

/* What the driver tells the NICs. */
#define CLI_DRIVER_OPTIONS(X) \
	X(CHOICE, mode, "mode", 'm', "wr|rd|bn", 0, 0, \
	  "who moves a packet: the ingress NIC writes it (wr, the default), the egress NIC reads it (rd), or both through main memory (bn)") \
	X(CHOICE, placement, "placement", 0, "copy|cut", 0, 0, \
	  "wr: how a frame gets into the egress NIC's memory: copied by the ingress NIC (copy, the default), or, where a port has a" \
	  " static pair, received there by its cable (cut), which then shares these buffers with the cable they leave by") \
	X(LIST, pair, "pair", 0, "NIC.PORT=NIC.PORT", 0, 0, \
	  "static pair: what comes in at one end leaves at the other; repeat for more") \
	X(FLAG, bridge, "bridge", 0, "", 0, 0, "learning bridge over all ports that are in no pair") \
	X(FLAG, route, "route", 0, "", 0, 0, \
	  "route IPv4 and IPv6 between all ports that are in no pair, by tables that a router fills; wr and rd, not with --placement cut") \
	X(BYTES, route_mem, "route-mem", 0, "SIZE", 65536, 4294967296u, "--route: device memory for tables of each NIC (half of it)") \
	X(U64, batch, "batch", 0, "N", 1, 64, "descriptors per DMA (8)") \
	X(POW2, stride, "stride", 0, "BYTES", 4, 256, "the checksum samples one word of every so many bytes (64)") \
	X(U64, slots, "slots", 0, "N", 64, 16384, \
	  "slots per ring at most (1024); the largest power of two that fits the NICs' memory is taken") \
	X(U64, rx_bufs, "rx-bufs", 0, "N", 64, 1048576, "receive buffers per port (two per slot, four in rd)") \
	X(U64, queues, "queues", 0, "N", 1, 8, \
	  "queues of every NIC, each with rings, buffers and a worker of its own; cables deal flows over them; not with bn and --placement cut" \
	  " (run: 1; up: as many as all can have)") \
	X(ONOFF, backpressure, "backpressure", 0, "on|off", 0, 0, \
	  "static pairs: a full ring stops receiving instead of dropping (on)") \
	X(ONOFF, scrub, "scrub", 0, "on|off", 0, 0, \
	  "overwrite slots before reuse, for a fabric that may lose writes (off: shared memory loses none)") \
	X(U64, flood_pps, "flood-pps", 0, "N", 0, 4294967295u, "bridge: flooded frames per second and NIC, 0 for no limit (1000000)") \
	X(U64, age, "age", 0, "SECONDS", 1, 1000000, "bridge: forget a station not heard from for so long (300)") \
	X(U64, silence, "silence", 0, "MS", 30, 60000, "a NIC not heard from for so long is down; more where NICs are starved of CPU (100)")

/* Of meshes of processes of their own. */
#define CLI_MESH_OPTIONS(X) \
	X(U64, max_nics, "max-nics", 0, "N", 1, 32, \
	  "device memory is laid out for so many NICs, and more can be added until then (as many as are given); not with bn")

/* The router beside them. */
#define CLI_ROUTING_OPTIONS(X) \
	X(LIST, tap, "tap", 0, "NIC.PORT=IFNAME", 0, 0, \
	  "name of a port's device in the kernel, repeat for more (the NIC's name, p and the port's number, as nic0p0)") \
	X(STR, router_socket, "router-socket", 0, "PATH", 0, 0, \
	  "where the router answers; without a slash in the runtime directory (router.sock)")

/* What software NICs are made of. */
#define CLI_SOFT_OPTIONS(X) \
	X(BYTES, mem, "mem", 0, "SIZE", 2097152, 68719476736u, "device memory of a NIC, a power of two (64M)") \
	X(CHOICE, buf_size, "buf-size", 0, "2048|2112|4096|9728", 0, 0, "bytes of a packet buffer (2048)") \
	X(FLAG, poll, "poll", 0, "", 0, 0, "never sleep: lowest latency, all of a core each") \
	X(STR, group, "group", 0, "NAME", 0, 0, \
	  "let the members of this group (or its number) connect to the sockets made here: 0660 instead of 0600 for the NIC's vfio-user socket," \
	  " control sockets, the router's, and those of memif ports with role=server and without a group= of their own (docs/trust.md)") \
	X(LIST, fault, "fault", 0, "RULE", 0, 0, \
	  "for tests: what shall go wrong, as drop:desc:1e-3,seed=7, repeat for more (docs/reliability.md); the NICs' DMA is slower then") \
	X(ONOFF, sandbox, "sandbox", 0, "on|off", 0, 0, \
	  "once the ports are open give up all rights that NICs need no more: capabilities, new privileges, other system calls" \
	  " than theirs, writing files (on, as far as it can be had; if on is said, all of it or it ends)")

#define CLI_RUN_OPTIONS(X) \
	X(STR, config, "config", 'c', "FILE", 0, 0, "read options from FILE; the command line wins") \
	X(LIST, port, "port", 'p', "SPEC", 0, 0, \
	  "a port: of the --nic before it, or without any --nic of a NIC of its own (nic0, nic1, ...)") \
	X(LIST, nic, "nic", 'n', "NAME", 0, 0, "begin a NIC; the --port options after it are its ports 0, 1, ...") \
	CLI_DRIVER_OPTIONS(X) \
	CLI_ROUTING_OPTIONS(X) \
	X(ONOFF, router, "router", 0, "on|off", 0, 0, "--route: run the router as well, which follows the kernel's routes (on; never with static routes)") \
	X(LIST, static_route, "static-route", 0, "PREFIX=NIC.PORT,MAC", 0, 0, \
	  "--route: a route in every NIC's table, for forwarding without a router: out of that port, to the station MAC; repeat for more") \
	X(STR, static_route_file, "static-route-file", 0, "FILE", 0, 0, \
	  "--route: many such routes, a line `PREFIX NIC.PORT MAC` each, - for standard input; # begins a comment") \
	X(LIST, router_mac, "router-mac", 0, "NIC.PORT=MAC", 0, 0, \
	  "static routes: the address under which a port routes (its own); repeat for more") \
	X(U64, nics, "nics", 0, "N", 2, 16, "without ports: how many NICs, in twos of generator and sink (2)") \
	X(SECONDS, seconds, "seconds", 's', "S", 0, 0, "end after S seconds; without ports: S for all measurements together (27)") \
	X(STR, cores, "cores", 0, "LIST", 0, 0, "pin one worker to each core, as 0,2-3 (as many unpinned ones as NICs and CPUs; without ports one for all);" \
	  " NICs that static pairs join share a worker, queue by queue, and such groups take turns; with fewer of them than workers, NICs do") \
	CLI_SOFT_OPTIONS(X) \
	X(STR, ctl, "ctl", 0, "PATH", 0, 0, "the control socket (run-PID.ctl in the runtime directory)") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object instead of tables")

#define CLI_NIC_OPTIONS(X) \
	X(STR, socket, "socket", 's', "PATH", 0, 0, \
	  "vfio-user socket to serve; without a slash in the runtime directory; observers use PATH.ctl") \
	X(LIST, port, "port", 'p', "SPEC", 0, 0, "a port: repeat for ports 0 to 7") \
	X(STR, name, "name", 0, "NAME", 0, 0, "its name in statistics; MAC addresses follow from it (the socket's file name)") \
	X(U64, queues, "queues", 0, "N", 1, 8, "queues that it can have, each with a worker of its own; its ports need as many (1)") \
	X(U64, core, "core", 0, "N", 0, 4095, "pin the worker to this core") \
	X(STR, cores, "cores", 0, "LIST", 0, 0, "pin one worker to each core, as 0,2-3; queues take turns") \
	CLI_SOFT_OPTIONS(X) \
	X(FLAG, json, "json", 'j', "", 0, 0, "the line that says it is ready, and the final statistics, as a JSON object each")

#define CLI_UP_OPTIONS(X) \
	X(LIST, nic, "nic", 'n', "ADDR", 0, 0, "a NIC: vfio-user:PATH, or vfio:DDDD:BB:DD.F for a PCI function; repeat for all of the mesh; they are nic0, nic1, ...") \
	CLI_DRIVER_OPTIONS(X) \
	CLI_MESH_OPTIONS(X) \
	X(STR, group, "group", 0, "NAME", 0, 0, \
	  "vfio: let the members of this group (or its number) take the NICs over: the socket hold-ADDRESS.sock gets 0660 instead of 0600" \
	  " (docs/trust.md)") \
	X(FLAG, monitor, "monitor", 0, "", 0, 0, "stay and report peers that go down or come back, until SIGINT or SIGTERM") \
	X(SECONDS, timeout, "timeout", 0, "S", 0, 0, "wait so long for the NICs to see each other (5)") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object")

#define CLI_ROUTER_OPTIONS(X) \
	X(LIST, nic, "nic", 'n', "ADDR", 0, 0, "a NIC: vfio-user:PATH, or vfio:DDDD:BB:DD.F for a PCI function; repeat for all of the mesh, in the order in which `up` had them") \
	CLI_DRIVER_OPTIONS(X) \
	CLI_MESH_OPTIONS(X) \
	CLI_ROUTING_OPTIONS(X) \
	X(STR, group, "group", 0, "NAME", 0, 0, \
	  "let the members of this group (or its number) ask the router: its socket gets 0660 instead of 0600, those by which PCI functions" \
	  " are taken over stay as they are (docs/trust.md)") \
	X(FLAG, keep, "keep", 0, "", 0, 0, "at the end leave the ports' devices in the kernel, with their addresses and routes, for the next router") \
	X(SECONDS, timeout, "timeout", 0, "S", 0, 0, "wait so long for the NICs to see each other (5)")

#define CLI_ROUTE_OPTIONS(X) \
	X(STR, dev, "dev", 0, "IFNAME", 0, 0, "add, load: by this interface of the kernel, without a gateway or with one that it can't be found by") \
	X(LIST, via, "via", 0, "ADDR", 0, 0, "add, load: by this gateway; add: repeat for several ways; load: each prefix gets one of them") \
	X(CHOICE, type, "type", 0, "unicast|blackhole|unreachable|prohibit", 0, 0, "add, load: what becomes of packets (unicast)") \
	X(U64, metric, "metric", 0, "N", 0, 4294967295u, "add, del, load: the kernel takes the lowest (50)") \
	X(CHOICE, format, "format", 0, "plain|location", 0, 0, \
	  "load: a prefix a line, or as `location dump` writes (as the file looks)") \
	X(U64, limit, "limit", 0, "N", 1, 4294967295u, "load: so many prefixes at most (all)") \
	X(FLAG, resolve, "resolve", 0, "", 0, 0, "add, load: a gateway that is not a neighbour may be reached by another route, whose gateway is taken") \
	X(STR, router_socket, "router-socket", 0, "PATH", 0, 0, "the router's; without a slash in the runtime directory (router.sock)") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print JSON")

#define CLI_DOWN_OPTIONS(X) \
	X(LIST, nic, "nic", 'n', "ADDR", 0, 0, "a NIC: vfio-user:PATH or vfio:DDDD:BB:DD.F; repeat for more") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object")

#define CLI_BIND_OPTIONS(X) \
	X(FLAG, force, "force", 0, "", 0, 0, "even if it is in use") \
	X(STR, sysfs, "sysfs", 0, "DIR", 0, 0, "where sysfs is (/sys)") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object")

#define CLI_SHOW_OPTIONS(X) \
	X(LIST, socket, "socket", 's', "PATH", 0, 0, \
	  "a NIC's socket or control socket; repeat for more (all in the runtime directory)") \
	X(LIST, nic, "nic", 'n', "NAME", 0, 0, "only the NIC of this name; repeat for more") \
	X(STR, router_socket, "router-socket", 0, "PATH", 0, 0, \
	  "routes, nexthops, neighbours, router: the router's socket; without a slash in the runtime directory (router.sock)") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object")

#define CLI_SIM_OPTIONS(X) \
	X(STR, method, "method", 'm', "LIST", 0, 0, "only these methods, as wr,rd,bn,testpmd,l3fwd; for run and speed: the one") \
	X(STR, frames, "frames", 'f', "LIST", 0, 0, "frame sizes in bytes, FCS included, as 64,1518; for run and speed: the one") \
	X(STR, nic, "nic", 'n', "PROFILE", 0, 0, "profile of all NICs: a name in profiles/nic or a path (agilio-lx)") \
	X(STR, sw, "switch", 0, "PROFILE", 0, 0, "profile of all switches (plx8747)") \
	X(STR, host, "host", 0, "PROFILE", 0, 0, "profile of the host (i9-9820x)") \
	X(LIST, set, "set", 's', "KEY=VALUE", 0, 0, \
	  "a setting, or a parameter of a profile as nic.workers=60, or of one part as nic0.workers=60; repeat for more") \
	X(STR, load, "load", 0, "PERCENT", 0, 0, "of a port's rate that is offered (100)") \
	X(U64, time, "time", 't', "US", 1, 10000000, "microseconds of virtual time that are measured (what the experiment needs)") \
	X(U64, warmup, "warmup", 0, "US", 0, 10000000, "microseconds before that (half of --time, if that is given)") \
	X(U64, seed, "seed", 0, "N", 0, 4294967295u, "of everything random (1)") \
	X(U64, jobs, "jobs", 0, "N", 1, 256, "runs at a time, each in a process (one a CPU; under mpirun 1 a rank)") \
	X(U64, samples, "samples", 0, "N", 0, 100000, "sensitivity: draws of all parameters at once (40)") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object instead of tables") \
	X(STR, csv, "csv", 0, "FILE", 0, 0, "write the rows as CSV as well") \
	X(STR, svg, "svg", 0, "FILE", 0, 0, "plot them as well, with gnuplot") \
	X(STR, trace, "trace", 0, "FILE", 0, 0, "write every TLP of the first run into a pcap (scripts/nettlp.lua shows them in Wireshark)") \
	X(U64, trace_limit, "trace-limit", 0, "N", 0, 1000000000000u, "so many TLPs at most, 0 for all (100000)") \
	X(STR, out, "out", 0, "DIR", 0, 0, "sweep: where finished points are kept; a sweep begun again goes on from there (FILE.sweep)")

#define CLI_GEN_OPTIONS(X) \
	X(LIST, port, "port", 'p', "SPEC", 0, 0, "memif:PATH[,id=N][,role=server|client][,rings=N][,group=NAME]; the first one sends, the second takes in") \
	X(FLAG, loop, "loop", 0, "", 0, 0, "no ports: what goes out comes back at once") \
	X(STR, frames, "frames", 'f', "LIST", 0, 0, "frame sizes in bytes, FCS included, as 64,1518: a run each (64)") \
	X(CHOICE, gear, "gear", 'g', "bench|check", 0, 0, "look at one frame of 64 (bench, the default) or at every byte of all (check)") \
	X(U64, rate, "rate", 'r', "N", 0, 1000000000000u, "frames per second and direction; 0 for as many as the forwarder takes (0)") \
	X(SECONDS, seconds, "seconds", 's', "S", 0, 0, "how long a run sends (5)") \
	X(U64, count, "count", 0, "N", 1, 1000000000000000u, "end a run after N frames per direction instead") \
	X(SECONDS, warmup, "warmup", 0, "S", 0, 0, "send so long before a run, uncounted (0.2)") \
	X(FLAG, both, "both", 0, "", 0, 0, "send from the second port to the first as well") \
	X(FLAG, latency, "latency", 0, "", 0, 0, "bench: take the age of the frames looked at (check does always)") \
	X(U64, flows, "flows", 0, "N", 1, 65536, "flows, taken in turn (1)") \
	X(STR, dst, "dst", 0, "IP", 0, 0, "destination of the first flow; the next ones have the next addresses (198.19.0.0)") \
	X(U64, dst_count, "dst-count", 0, "N", 1, 65536, "after so many destinations begin again with the first (65536)") \
	X(STR, back, "back", 0, "IP", 0, 0, "first destination of what the second port sends (that of --dst)") \
	X(STR, src, "src", 0, "IP", 0, 0, "source address (198.18.0.1)") \
	X(STR, src_mac, "src-mac", 0, "MAC[,MAC]", 0, 0, "source of what the ports send (02:50:32:00:00:00,02:50:32:00:00:01)") \
	X(STR, dst_mac, "dst-mac", 0, "MAC[,MAC]", 0, 0, "its destination (02:50:32:ff:00:00,02:50:32:ff:00:01)") \
	X(FLAG, routed, "routed", 0, "", 0, 0, "MAC addresses, TTL and IP header checksum may change on the way") \
	X(STR, core, "core", 0, "LIST", 0, 0, "pin to core N, or generator and sink to cores N,M (one thread, unpinned)") \
	X(U64, burst, "burst", 0, "N", 1, 256, "frames at a time (32)") \
	X(SECONDS, wait, "wait", 0, "S", 0, 0, "wait so long for the forwarder to connect (30)") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object instead of a table")

#define CLI_BENCH_FORWARD_OPTIONS(X) \
	X(STR, frames, "frames", 'f', "LIST", 0, 0, "frame sizes in bytes, FCS included (64,128,256,512,1024,1518)") \
	X(U64, rounds, "rounds", 'r', "N", 1, 100, "how often each is measured; at least 5 for a report (5)") \
	X(STR, subjects, "subjects", 0, "LIST", 0, 0, "only these, as p2pnic-wr,testpmd-io (all that there are)") \
	X(SECONDS, seconds, "seconds", 's', "S", 0, 0, "of each measurement (1)") \
	X(STR, cores, "cores", 0, "G,F", 0, 0, "core of generator and sink, core of the forwarder (the first two)") \
	X(FLAG, native, "native", 0, "", 0, 0, "DPDK built for this CPU by scripts/dpdk-native.sh, not Debian's package") \
	X(POW2, ring, "ring", 0, "N", 64, 16384, "descriptors of the cables' rings (each its best of 1024 and 2048)") \
	X(CHOICE, role, "role", 0, "client|server", 0, 0, "of the forwarder on both cables (client)") \
	X(CHOICE, generator, "generator", 0, "tester|testpmd", 0, 0, \
	  "what drives them; with testpmd only busy cycles per frame tell them apart (tester)") \
	X(STR, routes, "routes", 0, "FILE", 0, 0, \
	  "the full table, and where many destinations are drawn from: prefixes, one a line, or what `location dump` wrote (`location dump`)") \
	X(STR, against, "against", 0, "PROGRAM", 0, 0, \
	  "another build of p2pnic: each of p2pnic's subjects is measured with both, and this one's ratio to it told") \
	X(ONOFF, latency, "latency", 0, "on|off", 0, 0, "measure latency too (on)") \
	X(SECONDS, patience, "patience", 0, "S", 0, 0, \
	  "to wait in all, on a virtual machine, for cores that are as near and as fast as at their best (180 for each of --seconds)") \
	X(FLAG, check, "check", 0, "", 0, 0, "only the pass in which every frame is checked") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object instead of tables") \
	X(STR, csv, "csv", 0, "FILE", 0, 0, "write the rows as CSV as well") \
	X(STR, svg, "svg", 0, "FILE", 0, 0, "plot throughput as well, with gnuplot")

#define CLI_BENCH_SOAK_OPTIONS(X) \
	X(STR, subject, "subject", 0, "NAME", 0, 0, "the forwarder (p2pnic-wr)") \
	X(U64, frame, "frame", 'f', "BYTES", 64, 1518, "frame size, FCS included (64)") \
	X(SECONDS, seconds, "seconds", 's', "S", 0, 0, "how long (600)") \
	X(U64, load, "load", 0, "PERCENT", 1, 100, "of its measured maximum (95)") \
	X(STR, cores, "cores", 0, "G,F", 0, 0, "core of generator and sink, core of the forwarder (the first two)") \
	X(FLAG, native, "native", 0, "", 0, 0, "DPDK built for this CPU by scripts/dpdk-native.sh, not Debian's package") \
	X(POW2, ring, "ring", 0, "N", 64, 16384, "descriptors of the cables' rings (its best of 1024 and 2048)") \
	X(SECONDS, patience, "patience", 0, "S", 0, 0, \
	  "to wait in all, on a virtual machine, for cores that are as near and as fast as at their best (180 for each of --seconds)") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object")

#define CLI_BENCH_IDLE_OPTIONS(X) \
	X(SECONDS, seconds, "seconds", 's', "S", 0, 0, "how long (10)") \
	X(STR, cores, "cores", 0, "G,F", 0, 0, "core of the cables' far ends, core of the forwarder (the first two)") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object")

#define CLI_BENCH_COPY_OPTIONS(X) \
	X(STR, frames, "frames", 'f', "LIST", 0, 0, "frame sizes in bytes, FCS included (64,128,256,512,1024,1518)") \
	X(U64, rounds, "rounds", 'r', "N", 1, 100, "how often each is measured (7)") \
	X(SECONDS, seconds, "seconds", 's', "S", 0, 0, "of each measurement (0.003)") \
	X(STR, cores, "cores", 0, "W,C", 0, 0, "core that writes frames, core that copies them (the first two)") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object")

#define CLI_BENCH_LPM_OPTIONS(X) \
	X(STR, routes, "routes", 0, "FILE", 0, 0, "a list of prefixes, one a line, or what `location dump` wrote (`location dump`)") \
	X(STR, ip4_widths, "ip4-widths", 0, "LIST", 0, 0, "bits of each tier of the IPv4 table (16-3-3-2-4-4)") \
	X(STR, ip6_widths, "ip6-widths", 0, "LIST", 0, 0, "bits of each tier of the IPv6 table (16-4-4-...)") \
	X(U64, burst, "burst", 'b', "N", 1, 32768, "addresses handed to an engine at a time (64)") \
	X(U64, rounds, "rounds", 'r', "N", 1, 64, "how often each is measured (15)") \
	X(SECONDS, seconds, "seconds", 's', "S", 0, 0, "of each measurement (0.02)") \
	X(U64, updates, "updates", 'u', "N", 1, 10000000, "changes of routes that are measured (200000)") \
	X(U64, core, "core", 0, "N", 0, 1023, "run on this core (the first)") \
	X(FLAG, small_pages, "small-pages", 0, "", 0, 0, "no transparent huge pages for any engine's tables") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object")

#define CLI_DOCTOR_OPTIONS(X) \
	X(STR, sysfs, "sysfs", 0, "DIR", 0, 0, "read this tree, which --save wrote on another box (/sys)") \
	X(STR, save, "save", 0, "DIR", 0, 0, "write what was read into DIR, new or empty, instead of reporting on it") \
	X(FLAG, all, "all", 'a', "", 0, 0, "pairs without a NIC, too; --json has them always") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object") \
	X(FLAG, dot, "dot", 0, "", 0, 0, "print a graph for Graphviz's dot")

#define CLI_BENCH_CHURN_OPTIONS(X) \
	X(U64, rate, "rate", 0, "N", 1, 1000000, "changes a second (100000)") \
	X(SECONDS, seconds, "seconds", 's', "S", 0, 0, "with changes, in all; without them as long again (30)") \
	X(U64, rounds, "rounds", 'r', "N", 1, 64, "that these seconds are divided into (5)") \
	X(FLAG, json, "json", 'j', "", 0, 0, "print one JSON object")

#define CLI_HELP_OPTIONS(X) \
	X(FLAG, man, "man", 0, "", 0, 0, "print the manual page's source instead")

struct cli_run_opts {
	CLI_RUN_OPTIONS(CLI_FIELD)
};
struct cli_nic_opts {
	CLI_NIC_OPTIONS(CLI_FIELD)
};
struct cli_up_opts {
	CLI_UP_OPTIONS(CLI_FIELD)
};
struct cli_router_opts {
	CLI_ROUTER_OPTIONS(CLI_FIELD)
};
struct cli_route_opts {
	CLI_ROUTE_OPTIONS(CLI_FIELD)
};
struct cli_down_opts {
	CLI_DOWN_OPTIONS(CLI_FIELD)
};
struct cli_bind_opts {
	CLI_BIND_OPTIONS(CLI_FIELD)
};
struct cli_show_opts {
	CLI_SHOW_OPTIONS(CLI_FIELD)
};
struct cli_sim_opts {
	CLI_SIM_OPTIONS(CLI_FIELD)
};
struct cli_gen_opts {
	CLI_GEN_OPTIONS(CLI_FIELD)
};
struct cli_bench_forward_opts {
	CLI_BENCH_FORWARD_OPTIONS(CLI_FIELD)
};
struct cli_bench_soak_opts {
	CLI_BENCH_SOAK_OPTIONS(CLI_FIELD)
};
struct cli_bench_idle_opts {
	CLI_BENCH_IDLE_OPTIONS(CLI_FIELD)
};
struct cli_bench_copy_opts {
	CLI_BENCH_COPY_OPTIONS(CLI_FIELD)
};
struct cli_bench_lpm_opts {
	CLI_BENCH_LPM_OPTIONS(CLI_FIELD)
};
struct cli_doctor_opts {
	CLI_DOCTOR_OPTIONS(CLI_FIELD)
};
struct cli_bench_churn_opts {
	CLI_BENCH_CHURN_OPTIONS(CLI_FIELD)
};
struct cli_help_opts {
	CLI_HELP_OPTIONS(CLI_FIELD)
};
/* The driver's part, to be taken out of run's and up's. */
struct cli_driver_opts {
	CLI_DRIVER_OPTIONS(CLI_FIELD)
};

static const uint32_t cli_buf_sizes[] = { 2048, 2112, 4096, 9728 };

#endif

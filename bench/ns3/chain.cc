// SPDX-License-Identifier: BSD-3-Clause
//
// chain PACKETS HOPS SCHEDULER: ns-3 forwards packets of 64 bytes over HOPS point-to-point links of 40 Gb/s in a row,
// and says what that cost: one JSON object.
//
// As lean as ns-3 can be asked to be: no protocol stack, no headers but the link's, no traces; a node forwards by sending
// the very packet that it received on its other device.  SCHEDULER: Map, Heap, Calendar, PriorityQueue.
#include <ns3/core-module.h>
#include <ns3/network-module.h>
#include <ns3/point-to-point-module.h>

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

using namespace ns3;

namespace
{
constexpr uint32_t kBytes = 64;
const uint64_t kGapPs = 16000; // 64 bytes at 40 Gb/s take 12.8 ns: the links are 80% busy

uint64_t g_left, g_received;

bool Forward(Ptr<NetDevice> out, Ptr<NetDevice>, Ptr<const Packet> packet, uint16_t protocol, const Address &)
{
	return out->Send(ConstCast<Packet>(packet), out->GetBroadcast(), protocol);
}

bool Sink(Ptr<NetDevice>, Ptr<const Packet>, uint16_t, const Address &)
{
	g_received++;
	return true;
}

void Source(Ptr<NetDevice> device)
{
	device->Send(Create<Packet>(kBytes - 2), device->GetBroadcast(), 0x0800); // 2 bytes of PPP header come to it
	if (--g_left)
		Simulator::Schedule(PicoSeconds(kGapPs), &Source, device);
}
} // namespace

int main(int argc, char **argv)
{
	if (argc != 4 || atoll(argv[1]) <= 0 || atoi(argv[2]) <= 0)
		return 2;
	const uint64_t packets = static_cast<uint64_t>(atoll(argv[1]));
	const uint32_t hops = static_cast<uint32_t>(atoi(argv[2]));
	const auto begin = std::chrono::steady_clock::now();

	Time::SetResolution(Time::PS);
	ObjectFactory scheduler("ns3::" + std::string(argv[3]) + "Scheduler");
	Simulator::SetScheduler(scheduler);

	NodeContainer nodes;
	nodes.Create(hops + 1);
	PointToPointHelper link;
	link.SetDeviceAttribute("DataRate", StringValue("40Gbps"));
	link.SetChannelAttribute("Delay", StringValue("100ns"));
	Ptr<NetDevice> first, before;
	for (uint32_t k = 0; k < hops; k++) {
		NetDeviceContainer ends = link.Install(nodes.Get(k), nodes.Get(k + 1));

		if (k == 0)
			first = ends.Get(0);
		else
			before->SetReceiveCallback(MakeBoundCallback(&Forward, ends.Get(0)));
		before = ends.Get(1);
	}
	before->SetReceiveCallback(MakeCallback(&Sink));

	g_left = packets;
	Simulator::Schedule(PicoSeconds(0), &Source, first);
	Simulator::Run();
	const uint64_t events = Simulator::GetEventCount();
	Simulator::Destroy();

	const double wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
	printf("{\"packets\": %llu, \"hops\": %llu, \"events\": %llu, \"wall_s\": %.3f, \"max_rss_kb\": %ld}\n",
	       static_cast<unsigned long long>(g_received), static_cast<unsigned long long>(g_received * hops),
	       static_cast<unsigned long long>(events), wall_s, use.ru_maxrss);
	return g_received == packets ? 0 : 1;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A C++ tool that holds its skeleton and links in unique_ptrs and throws errors as exceptions. */
#include <cerrno>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <system_error>

#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "calls.skel.h"

namespace
{

constexpr int nobody = 0x7ffffff1;

struct Destroy {
	void operator()(calls_bpf *skeleton) const
	{
		calls_bpf::destroy(skeleton);
	}
	void operator()(bpf_link *link) const
	{
		bpf_link__destroy(link);
	}
};
using Skeleton = std::unique_ptr<calls_bpf, Destroy>;
using Link = std::unique_ptr<bpf_link, Destroy>;

Link attach(const bpf_program *program, const std::string &name, bool retprobe = false)
{
	bpf_ksyscall_opts opts{};
	opts.sz = sizeof(opts);
	opts.retprobe = retprobe;
	Link link(bpf_program__attach_ksyscall(program, name.c_str(), &opts));
	if (!link)
		throw std::system_error(errno, std::generic_category(), name);
	return link;
}

void call(int count)
{
	while (count-- > 0)
		syscall(SYS_getpgid, nobody);
}

} // namespace

int main()
try {
	Skeleton skeleton(calls_bpf::open());
	if (!skeleton)
		throw std::system_error(errno, std::generic_category(), "open");
	skeleton->rodata->traced = getpid();
	if (int error = calls_bpf::load(skeleton.get()))
		throw std::system_error(-error, std::generic_category(), "load");
	if (int error = calls_bpf::attach(skeleton.get()))
		throw std::system_error(-error, std::generic_category(), "attach");
	call(3);
	std::cout << "did entries 3 returns 3 argument " << nobody << " result " << -ESRCH << '\n';
	std::cout << "saw entries " << skeleton->bss->entries << " returns " << skeleton->bss->returns
		  << " argument " << skeleton->bss->last_argument << " result " << skeleton->bss->last_result
		  << '\n';

	/* Attach the same program several times; each link's lifetime is independent of the others. */
	std::map<std::string, Link> links;
	links["one"] = attach(skeleton->progs.on_other, "getpgid");
	links["two"] = attach(skeleton->progs.on_other, "getpgid");
	call(2);
	std::cout << "did others 4\n";
	std::cout << "saw others " << skeleton->bss->others << '\n';
	links.clear();

	libbpf_set_print(nullptr);
	std::cout << "did no_such_call: " << ENOENT << '\n';
	try {
		attach(skeleton->progs.on_other, "no_such_call");
		std::cout << "saw no_such_call: attached\n";
	} catch (const std::system_error &error) {
		std::cout << "saw " << std::string(error.what()).substr(0, 12) << ": " << error.code().value()
			  << '\n';
	}
	return 0;
} catch (const std::exception &error) {
	std::cerr << "objects: " << error.what() << '\n';
	return 1;
}

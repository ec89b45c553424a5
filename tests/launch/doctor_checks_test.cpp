// Each check of `elbow doctor` finds what it is for, and says nothing of a healthy launch.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "launch/doctor/checks.h"
#include "launch/doctor/estimate.h"
#include "launch/doctor/places.h"
#include "launch/doctor/report.h"

namespace elbow::launch::doctor {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kGiB = int64_t{1} << 30;

RankFacts healthy_rank(int rank, const std::string& host) {
  return {.rank = rank,
          .host = host,
          .cores = {.allowed = {0, 1, 2, 3, 4, 5, 6, 7},
                    .of_host = 8,
                    .threads = 4,
                    .model = "A CPU",
                    .mkl_branch = "avx512"},
          .gpus = {},
          .versions = {{"elbow", "1"}, {"libtorch", "2.11.0"}, {"mpi", "Open MPI v5.0.11"}},
          .mpi = {.library = "Open MPI v5.0.11",
                  .thread_level = "MPI_THREAD_MULTIPLE",
                  .launcher = "mpirun",
                  .fault_tolerant = true,
                  .coll = "^han"},
          .network =
              {.interfaces = {{.name = "eth0", .address = fmt::format("{}'s", host), .mtu = 1500}}},
          .limits = {.shm_bytes = 8 * kGiB,
                     .shm_free_bytes = 8 * kGiB,
                     .locked_memory_bytes = 8 << 20,
                     .open_files = 1024,
                     .memory_bytes = 64 * kGiB},
          .data = {.files = {{.name = "images", .hash = "aa"}}},
          .folder = {.path = "/shared/runs", .filesystem = "nfs", .free_bytes = 100 * kGiB},
          .memory_used_bytes = kGiB};
}

// Ranks 0 and 1 on a, 2 and 3 on b.
LaunchFacts healthy_launch() {
  LaunchFacts launch;
  for (int rank = 0; rank < 4; ++rank)
    launch.ranks.push_back(healthy_rank(rank, rank < 2 ? "a" : "b"));
  launch.sums = {{.backend = "mpi", .latency_s = 2e-5, .bytes = 4 << 20, .bytes_per_second = 1e9}};
  return launch;
}

LaunchFacts one_host() {
  auto launch = healthy_launch();
  for (auto& rank : launch.ranks) {
    rank.host = std::string("a");
    rank.cores.threads = 2;
  }
  return launch;
}

void give_gpus(RankFacts& rank, const std::vector<std::string>& uuids) {
  rank.cores.threads = 1;
  for (const auto& uuid : uuids)
    rank.gpus.visible.push_back(
        {.uuid = uuid, .name = "H100", .memory_bytes = 80, .free_bytes = 79});
}

auto finds(bool fault, const std::string& check, const std::string& what, const std::string& where,
           const std::string& remedy) {
  return Contains(AllOf(
      Field(&Finding::fault, fault), Field(&Finding::check, check),
      Field(&Finding::what, HasSubstr(what)), Field(&Finding::where, HasSubstr(where)),
      Field(&Finding::why, testing::Not(IsEmpty())), Field(&Finding::remedy, HasSubstr(remedy))));
}

TEST(Doctor, IsSilentOnHealthyLaunches) {
  EXPECT_THAT(judge(healthy_launch()), IsEmpty());
  EXPECT_THAT(judge(one_host()), IsEmpty());
  EXPECT_THAT(judge({.ranks = {healthy_rank(0, "a")}}), IsEmpty());
  auto gpus = healthy_launch();
  for (auto& rank : gpus.ranks)  // each host counts its own from 0
    give_gpus(rank, {fmt::format("GPU-{}{}", rank.host, rank.rank)});
  EXPECT_THAT(judge(gpus), IsEmpty());
}

TEST(Doctor, FindsRanksThatShareOneCore) {
  auto launch = one_host();
  for (auto& rank : launch.ranks) rank.cores.allowed = {3};
  EXPECT_THAT(judge(launch), finds(true, "cores", "4 ranks share core 3 of the host's 8",
                                   "ranks 0-3 on a", "--bind-to none"));
}

TEST(Doctor, FindsRanksThatAreBoundToACoreEachBesideIdleOnes) {
  auto launch = one_host();
  for (auto& rank : launch.ranks) rank.cores.allowed = {rank.rank};
  EXPECT_THAT(judge(launch), finds(true, "cores", "4 ranks are each bound to one core", "ranks 0-3",
                                   "--bind-to none"));
  for (auto& rank : launch.ranks) rank.mpi.launcher = "srun";
  EXPECT_THAT(judge(launch), finds(true, "cores", "bound to one core", "a", "--cpus-per-task"));
  for (auto& rank : launch.ranks) rank.cores.of_host = 4;
  EXPECT_THAT(judge(launch), testing::Not(finds(true, "cores", "", "", "")));
}

TEST(Doctor, AdvisesOnThreadsAndQuotas) {
  auto launch = one_host();
  for (auto& rank : launch.ranks) {
    rank.cores.threads = 8;
    rank.cores.threads_chosen = true;
  }
  EXPECT_THAT(judge(launch), finds(false, "cores", "32 threads", "a", "at most 2"));
  launch = one_host();
  for (auto& rank : launch.ranks) rank.cores.quota = 4;
  EXPECT_THAT(judge(launch), finds(false, "cores", "time of 4 cores", "a", "train.threads=1"));
  launch = one_host();  // two cores each, of which a rank that expects to share takes none but one
  for (auto& rank : launch.ranks) {
    rank.cores.allowed = {2 * rank.rank, 2 * rank.rank + 1};
    rank.cores.threads = 1;
  }
  EXPECT_THAT(judge(launch), finds(false, "cores", "4 threads would compute on 8", "a", "none"));
}

TEST(Doctor, FindsTwoRanksOnOneGpuByItsUuid) {
  auto launch = healthy_launch();
  for (auto& rank : launch.ranks) give_gpus(rank, {fmt::format("GPU-{}", rank.host)});
  const auto findings = judge(launch);
  EXPECT_THAT(findings, finds(true, "gpus", "2 ranks compute on one GPU, GPU-a", "ranks 0,1 on a",
                              "CUDA_VISIBLE_DEVICES"));
  EXPECT_THAT(findings, finds(true, "gpus", "GPU-b", "ranks 2,3 on b", "-n"));
}

TEST(Doctor, FindsARankWithoutGpuAmongOthersAndIdleAndUnlikeOnes) {
  auto launch = healthy_launch();
  for (auto& rank : launch.ranks) give_gpus(rank, {fmt::format("GPU-{}", rank.rank)});
  launch.ranks[3].gpus = {.visible = {}, .none_because = "no driver"};
  EXPECT_THAT(judge(launch), finds(true, "gpus", "no driver", "rank 3 on b", "--gpus-per-task"));
  give_gpus(launch.ranks[3], {"GPU-3", "GPU-4"});
  EXPECT_THAT(judge(launch), finds(false, "gpus", "1 of the host's 3 GPUs", "b", "start 3 ranks"));
  launch.ranks[3].gpus.visible = {{.uuid = "GPU-3", .name = "A100"}};
  EXPECT_THAT(judge(launch),
              finds(false, "gpus", "2 models", "A100 (rank 3 on b)", "--constraint"));
}

TEST(Doctor, FindsVersionsThatDiffer) {
  auto launch = healthy_launch();
  launch.ranks[2].versions["libtorch"] = "2.10.0";
  EXPECT_THAT(judge(launch),
              finds(true, "versions", "LibTorch is not the same",
                    "2.11.0 (ranks 0,1 on a; rank 3 on b); 2.10.0 (rank 2 on b)", "same program"));
  launch = healthy_launch();
  launch.ranks[3].cores.mkl_branch = "avx2";
  EXPECT_THAT(judge(launch), finds(false, "versions", "vector", "avx2 (rank 3 on b)", "alike"));
}

TEST(Doctor, FindsMissingFaultToleranceAndSaysHowToGetIt) {
  auto launch = one_host();
  for (auto& rank : launch.ranks) rank.mpi.fault_tolerant = false;
  EXPECT_THAT(judge(launch), finds(true, "mpi", "ULFM", "mpirun", "--with-ft ulfm"));
  for (auto& rank : launch.ranks) rank.mpi.library = "Open MPI v4.1.4";
  EXPECT_THAT(judge(launch), finds(false, "mpi", "ULFM", "4.1.4", "Open MPI 5"));
  auto hosts = healthy_launch();  // over several hosts it is a choice
  for (auto& rank : hosts.ranks) rank.mpi.fault_tolerant = false;
  EXPECT_THAT(judge(hosts), finds(false, "mpi", "ULFM", "mpirun", "--with-ft ulfm"));
  for (auto& rank : hosts.ranks) rank.mpi.launcher = "srun";
  EXPECT_THAT(judge(hosts), finds(false, "mpi", "ULFM", "srun", "inside the allocation"));
}

TEST(Doctor, FindsHanAndOtherMpis) {
  auto launch = healthy_launch();
  for (auto& rank : launch.ranks) rank.mpi.coll = "";
  EXPECT_THAT(judge(launch), finds(true, "mpi", "han is on", "all", "^han"));
  launch = healthy_launch();
  for (auto& rank : launch.ranks) rank.mpi.library = "MPICH Version: 4.0.2";
  EXPECT_THAT(judge(launch), finds(false, "mpi", "untested with MPICH", "all", "Open MPI"));
}

TEST(Doctor, FindsWhatNetworksDoBetweenHosts) {
  auto launch = healthy_launch();
  for (auto& rank : launch.ranks)
    rank.network.interfaces.push_back({.name = "docker0", .address = "172.17.0.1/16", .mtu = 1500});
  EXPECT_THAT(judge(launch), finds(true, "network", "docker0 has the address 172.17.0.1/16",
                                   "rank 0 on a; rank 2 on b", "btl_tcp_if_exclude=lo,docker0"));
  for (auto& rank : launch.ranks) rank.host = std::string("a");
  EXPECT_THAT(judge(launch), testing::Not(finds(true, "network", "", "", "")));
  launch = healthy_launch();
  launch.ranks[2].network.interfaces[0].mtu = 9000;
  launch.sums[0].bytes_per_second = 5e6;
  EXPECT_THAT(judge(launch),
              finds(false, "network", "MTU 1500 on one host and 9000", "a", "alike"));
  EXPECT_THAT(judge(launch), finds(false, "network", "5.0 MB/s", "b", "if_include"));
  launch = healthy_launch();
  for (auto& rank : launch.ranks) {
    rank.mpi.pml = "ob1";
    rank.mpi.btl = "self,sm,tcp";
    rank.network.fabrics = {"mlx5_0"};
    rank.limits.locked_memory_bytes = -1;
  }
  EXPECT_THAT(judge(launch), finds(false, "network", "mlx5_0 is there", "a", "--with-ft"));
  launch.ranks[0].limits.locked_memory_bytes = 64 << 10;
  EXPECT_THAT(judge(launch), finds(true, "limits", "64 KiB may be locked", "a", "ulimit -l"));
}

TEST(Doctor, FindsSmallLimits) {
  auto launch = healthy_launch();
  launch.ranks[2].limits.shm_bytes = launch.ranks[2].limits.shm_free_bytes = 16 << 20;
  EXPECT_THAT(judge(launch), finds(true, "limits", "/dev/shm has 16 MiB free of 16 MiB",
                                   "ranks 2,3 on b", "--shm-size"));
  launch = healthy_launch();
  launch.ranks[0].limits.open_files = 100;
  EXPECT_THAT(judge(launch), finds(true, "limits", "100 files", "a", "ulimit -n"));
  launch = healthy_launch();
  for (auto& rank : launch.ranks) rank.memory_used_bytes = 30 * kGiB;
  EXPECT_THAT(judge(launch), finds(true, "limits", "use 60 GiB together", "b", "--mem"));
  auto one = LaunchFacts{.ranks = {healthy_rank(0, "a")}};  // it shares nothing
  one.ranks[0].limits.shm_bytes = one.ranks[0].limits.shm_free_bytes = 0;
  EXPECT_THAT(judge(one), IsEmpty());
}

TEST(Doctor, FindsClocksThatAreApart) {
  auto launch = healthy_launch();
  launch.ranks[2].clock = {.offset_s = -30, .uncertainty_s = 0.1};
  EXPECT_THAT(judge(launch), finds(true, "clocks", "30.0 s behind", "b", "time_margin"));
  launch.ranks[2].clock = {.offset_s = 3, .uncertainty_s = 4};  // a slow barrier tells nothing
  EXPECT_THAT(judge(launch), IsEmpty());
}

TEST(Doctor, FindsDataThatDiffersOrCannotBeRead) {
  auto launch = healthy_launch();
  launch.ranks[3].data.files[0].hash = "bb";
  EXPECT_THAT(judge(launch), finds(true, "data", "images is another file there: its hash is bb",
                                   "rank 3 on b", "copy the same file"));
  launch.ranks[3].data = {.files = {}, .error = "/data/images: No such file"};
  const auto findings = judge(launch);
  EXPECT_THAT(findings, finds(true, "data", "No such file", "rank 3 on b", "same path"));
  EXPECT_EQ(findings.size(), 1);
}

TEST(Doctor, FindsFoldersThatCannotBeUsed) {
  auto launch = healthy_launch();
  launch.ranks[2].folder.shared = launch.ranks[3].folder.shared = false;
  EXPECT_THAT(judge(launch), finds(true, "folder", "/shared/runs is not the same folder",
                                   "ranks 2,3 on b", "--out"));
  launch = healthy_launch();
  launch.ranks[1].folder.write_error = "Read-only file system";
  EXPECT_THAT(judge(launch), finds(true, "folder", "Read-only", "rank 1 on a", "--out"));
  launch = healthy_launch();
  launch.ranks[2].folder.lock_error = "No locks available";
  EXPECT_THAT(judge(launch), finds(true, "folder", "No locks", "rank 2 on b", "flock"));
  launch = healthy_launch();
  launch.ranks[0].folder.free_bytes = 1 << 20;
  EXPECT_THAT(judge(launch), finds(true, "folder", "1.0 MiB free", "a", "quota"));
  launch = healthy_launch();
  launch.ranks[3].folder.seen_after_s = 1.5;
  EXPECT_THAT(judge(launch), finds(false, "folder", "after 1.5 s", "rank 3", "actimeo"));
}

TEST(Doctor, PutsFaultsFirstAndCountsThem) {
  auto launch = healthy_launch();
  launch.ranks[3].cores.mkl_branch = "avx2";
  launch.ranks[3].folder.shared = false;
  const auto findings = judge(launch);
  ASSERT_EQ(findings.size(), 2);
  EXPECT_TRUE(findings[0].fault);
  EXPECT_TRUE(any_fault(findings));
  EXPECT_THAT(report_text(launch, findings), HasSubstr("1 fault, 1 piece of advice"));
  EXPECT_THAT(report_text(healthy_launch(), {}), HasSubstr("healthy: nothing was found"));
  EXPECT_THAT(report_json(launch, findings), HasSubstr("\"healthy\":false"));
}

TEST(Doctor, FactsSurviveTheirTextAndCanBeReplacedInPart) {
  auto rank = healthy_rank(3, "b");
  give_gpus(rank, {"GPU-1"});
  EXPECT_EQ(text_of(rank_facts_from(text_of(rank))), text_of(rank));
  const auto other = replaced(rank, R"({"limits": {"shm_bytes": 5}, "versions": {"nccl": "2"}})");
  EXPECT_EQ(other.limits.shm_bytes, 5);
  EXPECT_EQ(other.limits.open_files, rank.limits.open_files);
  EXPECT_EQ(other.versions.at("nccl"), "2");
  EXPECT_THROW(replaced(rank, R"({"limits": {"shm_bytes": "much"}})"), std::invalid_argument);
}

TEST(Doctor, NamesRanksAndSizesAsPeopleDo) {
  const auto launch = healthy_launch();
  EXPECT_EQ(named({&launch.ranks[0], &launch.ranks[1], &launch.ranks[3]}),
            "ranks 0,1 on a; rank 3 on b");
  EXPECT_EQ(ranges_text({0, 1, 2, 3, 8}), "0-3,8");
  EXPECT_EQ(bytes_text(0), "0 bytes");
  EXPECT_EQ(bytes_text(int64_t{3} << 29), "1.5 GiB");
}

}  // namespace
}  // namespace elbow::launch::doctor

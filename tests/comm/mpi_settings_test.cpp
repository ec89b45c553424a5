// What is asked of Open MPI in which launch, over made-up environments.
#include "comm/mpi_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace elbow::tests {
namespace {

using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;
using Variables = std::map<std::string, std::string>;

comm::Environment environment(Variables variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

auto settings(Variables variables, int major = 5) {
  return comm::mpi_settings(environment(std::move(variables)), major);
}

const Variables kOneHost = {{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}};
const Variables kTwoHosts = {{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};

const auto kNoHan = Pair("OMPI_MCA_coll", "^han");
const auto kYield = Pair("OMPI_MCA_mpi_yield_when_idle", "1");

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

TEST(MpiSettings, OneHostSkipsTheProbingOfNetworks) {
  const auto expected = UnorderedElementsAre(kNoHan, kYield, Pair("OMPI_MCA_pml", "ob1"),
                                             Pair("OMPI_MCA_btl", "self,sm,tcp"));
  EXPECT_THAT(settings(kOneHost), expected);
  EXPECT_THAT(settings({{"PMIX_RANK", "0"}, {"SLURM_STEP_NUM_NODES", "1"}}), expected);
}

TEST(MpiSettings, AProcessWithoutLauncherOpensNoSharedMemory) {
  EXPECT_THAT(settings({}), UnorderedElementsAre(kNoHan, kYield, Pair("OMPI_MCA_pml", "ob1"),
                                                 Pair("OMPI_MCA_btl", "self")));
}

TEST(MpiSettings, SeveralHostsLetOpenMpiChooseTheNetwork) {
  EXPECT_THAT(settings(kTwoHosts), UnorderedElementsAre(kNoHan, kYield));
  EXPECT_THAT(settings({{"PMIX_RANK", "0"}, {"SLURM_STEP_NUM_NODES", "3"}}),
              UnorderedElementsAre(kNoHan, kYield));
}

TEST(MpiSettings, FaultToleranceNeedsItsTransportsOnSeveralHostsToo) {
  EXPECT_THAT(settings(with(kTwoHosts, "OMPI_MCA_mpi_ft_enable", "1")),
              testing::Contains(Pair("OMPI_MCA_btl", "self,sm,tcp")));
}

TEST(MpiSettings, WhereSeveralHostsHealNoMessageWaitsForItsAnswer) {
  const auto healing = with(kTwoHosts, "OMPI_MCA_mpi_ft_enable", "1");
  EXPECT_THAT(settings(healing), testing::Contains(Pair("OMPI_MCA_btl_tcp_eager_limit", "262144")));
  EXPECT_THAT(settings(healing),
              testing::Contains(Pair("OMPI_MCA_btl_tcp_max_send_size", "262144")));
  EXPECT_LT(comm::kEagerBytes, 262144);
  EXPECT_THAT(settings(with(healing, "OMPI_MCA_btl_tcp_eager_limit", "9")),
              testing::Not(testing::Contains(Pair("OMPI_MCA_btl_tcp_eager_limit", "262144"))));
}

TEST(MpiSettings, WhatTheUserSetStays) {
  EXPECT_THAT(settings(with(kOneHost, "OMPI_MCA_pml", "ucx")),
              UnorderedElementsAre(kNoHan, kYield));
  auto all = with(with(kOneHost, "OMPI_MCA_btl", "tcp,self"), "OMPI_MCA_coll", "^ucc");
  EXPECT_THAT(settings(with(all, "OMPI_MCA_mpi_yield_when_idle", "0")), testing::IsEmpty());
}

TEST(MpiSettings, SharedMemoryHasItsOldNameBeforeVersion5) {
  EXPECT_THAT(settings(kOneHost, /*major=*/4),
              testing::Contains(Pair("OMPI_MCA_btl", "self,vader,tcp")));
}

TEST(LaunchMistake, AWorldOfOneUnderSlurmIsNamed) {
  EXPECT_THAT(comm::launch_mistake(environment({{"SLURM_NTASKS", "8"}}), 1),
              HasSubstr("8 tasks (SLURM_NTASKS) but MPI sees a world of 1"));
  EXPECT_THAT(
      comm::launch_mistake(environment({{"SLURM_NTASKS", "8"}, {"SLURM_STEP_NUM_TASKS", "2"}}), 1),
      HasSubstr("2 tasks (SLURM_STEP_NUM_TASKS)"));
}

TEST(LaunchMistake, AProperLaunchIsNone) {
  EXPECT_EQ(comm::launch_mistake(environment({}), 1), "");
  EXPECT_EQ(comm::launch_mistake(environment({{"SLURM_NTASKS", "8"}}), 8), "");
  // mpirun on a part of an allocation
  EXPECT_EQ(comm::launch_mistake(environment(with(kOneHost, "SLURM_NTASKS", "8")), 4), "");
  // a step of 2 tasks in an allocation of 8
  EXPECT_EQ(
      comm::launch_mistake(environment({{"SLURM_NTASKS", "8"}, {"SLURM_STEP_NUM_TASKS", "2"}}), 2),
      "");
}

}  // namespace
}  // namespace elbow::tests

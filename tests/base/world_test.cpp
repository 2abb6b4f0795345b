#include <polyphony/base/world.h>

#include <map>

#include <gmock/gmock.h>

#include <polyphony/base/error.h>

namespace polyphony {
namespace {

using ::testing::HasSubstr;

Environment environment(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

TEST(World, IsAbsentWhereNobodyStartedSeveralProcesses) {
  EXPECT_FALSE(world_from_environment(environment({})));
  // An allocation's shell and a batch script: the tasks are there, but srun did not start us.
  EXPECT_FALSE(world_from_environment(environment({{"SLURM_NTASKS", "4"}, {"SLURM_JOB_ID", "7"}})));
  EXPECT_FALSE(world_from_environment(environment(
      {{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}, {"SLURM_STEP_ID", "4294967291"}})));
}

TEST(World, ReadsTorchrun) {
  const auto world = world_from_environment(environment({{"RANK", "5"},
                                                         {"WORLD_SIZE", "8"},
                                                         {"LOCAL_RANK", "1"},
                                                         {"LOCAL_WORLD_SIZE", "4"},
                                                         {"MASTER_ADDR", "node0"},
                                                         {"MASTER_PORT", "1234"}}));
  ASSERT_TRUE(world);
  EXPECT_EQ(world->rank, 5);
  EXPECT_EQ(world->size, 8);
  EXPECT_EQ(world->local_rank, 1);
  EXPECT_EQ(world->local_size, 4);
  EXPECT_EQ(world->master_addr, "node0");
  EXPECT_EQ(world->master_port, 1234);
}

TEST(World, MeetsBesideTheStoreOfTorchrunsAgent) {
  const auto world =
      world_from_environment(environment({{"RANK", "0"},
                                          {"WORLD_SIZE", "1"},
                                          {"MASTER_ADDR", "node0"},
                                          {"MASTER_PORT", "1234"},
                                          {"TORCHELASTIC_USE_AGENT_STORE", "True"}}));
  ASSERT_TRUE(world);
  EXPECT_EQ(world->master_port, 1235);
}

TEST(World, ReadsMpirunOnOneHostWithoutAnAddress) {
  const std::map<std::string, std::string> variables = {{"OMPI_COMM_WORLD_RANK", "1"},
                                                        {"OMPI_COMM_WORLD_SIZE", "2"},
                                                        {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                                        {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                                        {"PMIX_NAMESPACE", "job-17"}};
  const auto world = world_from_environment(environment(variables));
  ASSERT_TRUE(world);
  EXPECT_EQ(world->rank, 1);
  EXPECT_EQ(world->size, 2);
  EXPECT_EQ(world->master_addr, "127.0.0.1");
  auto other = variables;
  other["PMIX_NAMESPACE"] = "job-18";
  EXPECT_NE(world_from_environment(environment(other))->master_port, world->master_port);
}

TEST(World, AsksForTheAddressOfAnMpirunOverSeveralHosts) {
  try {
    world_from_environment(environment({{"PMI_RANK", "1"},
                                        {"PMI_SIZE", "4"},
                                        {"MPI_LOCALRANKID", "1"},
                                        {"MPI_LOCALNRANKS", "2"}}));
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("MASTER_ADDR"));
    EXPECT_THAT(error.what(), HasSubstr("4 processes, 2 of them on this host"));
  }
}

TEST(World, ReadsSlurm) {
  const auto world = world_from_environment(environment({{"SLURM_PROCID", "3"},
                                                         {"SLURM_NTASKS", "6"},
                                                         {"SLURM_LOCALID", "1"},
                                                         {"SLURM_TASKS_PER_NODE", "2(x3)"},
                                                         {"SLURM_STEP_ID", "0"},
                                                         {"SLURM_JOB_ID", "4711"},
                                                         {"SLURM_JOB_NODELIST", "gpu[07-09]"}}));
  ASSERT_TRUE(world);
  EXPECT_EQ(world->rank, 3);
  EXPECT_EQ(world->size, 6);
  EXPECT_EQ(world->local_size, 2);
  EXPECT_EQ(world->local_rank, 1);
  EXPECT_EQ(world->master_addr, "gpu07");
  EXPECT_EQ(world->started_by, "Slurm");
}

TEST(World, SaysWhichVariableIsMissingOrWrong) {
  const auto message = [](const std::map<std::string, std::string>& variables) -> std::string {
    try {
      world_from_environment(environment(variables));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message({{"OMPI_COMM_WORLD_RANK", "0"}}),
              HasSubstr("OMPI_COMM_WORLD_SIZE is missing"));
  EXPECT_THAT(message({{"RANK", "4"}, {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "a"}}),
              HasSubstr("RANK='4': not a number from 0 to 3"));
  EXPECT_THAT(message({{"RANK", "x"}, {"WORLD_SIZE", "4"}}), HasSubstr("RANK='x'"));
  EXPECT_THAT(
      message({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "70000"}}),
      HasSubstr("MASTER_PORT='70000'"));
}

TEST(World, FindsTheFirstHostOfASlurmNodeList) {
  EXPECT_EQ(first_host("node1"), "node1");
  EXPECT_EQ(first_host("node1,node2"), "node1");
  EXPECT_EQ(first_host("gpu[07-09,12],cpu1"), "gpu07");
  EXPECT_EQ(first_host("gpu[3,5]"), "gpu3");
  EXPECT_EQ(first_host("gpu[3]"), "gpu3");
}

TEST(World, DividesThreadsAmongTheProcessesOfAHost) {
  EXPECT_EQ(threads_of_rank(8, 4), 2);
  EXPECT_EQ(threads_of_rank(2, 4), 1);
  EXPECT_EQ(threads_of_rank(3, 1), 3);
  EXPECT_GE(threads_of_rank(0, 1), 1);
}

}  // namespace
}  // namespace polyphony

// SPDX-License-Identifier: Apache-2.0
// Tables over all orders and seeds of a recipe.
#pragma once
#include <vector>

#include "framework/report/pooled.h"
#include "framework/report/table.h"

namespace retain::framework {

/// Learning, what is kept, forgetting, recovery and drift, one row a recipe.
Table pooled_table(const Report& report, const std::vector<PooledRecipe>& pooled);
/// Every other recipe of a source against its `llm`; no rows where there is none.
Table against_llm_table(const Report& report, const std::vector<PooledRecipe>& pooled);
/// Held-out change and probe after some of the stages, the last among them; of one source.
Table stages_table(const Report& report, const std::vector<PooledRecipe>& pooled, std::size_t source);

}  // namespace retain::framework

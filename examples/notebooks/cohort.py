# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---
# %% [markdown]
# # A cohort in Crosstalk
# Ten adults of NHANES 2017-2018. Run it from the folder that holds `examples` (`crosstalk demo` writes it).
# Research use only; not a medical device.

# %%
import crosstalk

panels = crosstalk.read_panel("examples/panels/nhanes_adults.csv")
panels

# %% [markdown]
# Mechanism scores: folds of a healthy adult, with 90 % intervals. `_told` is what the panel itself says.

# %%
cohort = crosstalk.assess(panels)
innate = ["innate_activation", "innate_activation_lo90", "innate_activation_hi90", "innate_activation_told"]
cohort.to_frame()[["patient", "status", *innate]]

# %%
cohort.plot()

# %% [markdown]
# Each of them under two regimens. An interval of the difference that holds 0 is no evidence of a difference.

# %%
forecasts = crosstalk.forecast(panels, regimens=["ssri-infliximab"])
table = forecasts.to_frame()
table[~table["reference"]][["patient", "regimen", "difference", "difference_lo90", "difference_hi90"]]

# %%
forecasts.save("forecasts.html")

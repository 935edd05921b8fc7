"""ComBat against R's sva, its contract as a scikit-learn transformer, and what it must never do: look at test rows."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from crosstalk.errors import CrosstalkError
from crosstalk.statistics.combat import ComBat, HarmonisationError

Array = NDArray[np.float64]


def table(text: str) -> Array:
    return np.array([[float(cell) for cell in line.split(",")] for line in text.split("\n") if line])


# R 4.2.2, sva 3.46.0; in.csv holds VALUES, nan.csv VALUES with the four gaps of `gaps()`:
#   library(sva)
#   b <- rep(c('A', 'B', 'C'), c(5, 4, 5)); g <- c(0,1,0,1,1, 0,0,1,1, 1,0,0,1,0)
#   run <- function(file, rows=1:14, par=TRUE, fix=FALSE, mod=TRUE) {
#     d <- t(as.matrix(read.csv(file, header=FALSE)))[, rows]
#     if (fix) d[5, 1:5] <- 3
#     t(ComBat(d, b[rows], mod=if (mod) model.matrix(~g[rows]) else NULL, par.prior=par)) }
#   run('in.csv'); run('in.csv', par=FALSE); run('nan.csv'); run('nan.csv', par=FALSE); run('in.csv', fix=TRUE)
#   run('in.csv', rows=1:10); run('in.csv', rows=1:10, par=FALSE); run('in.csv', mod=FALSE)
# fmt: off
VALUES = table("""
2.20, 1.70, 1.59, 1.08, 1.92
2.00, 1.46, 4.00, 1.48, 2.16
2.68, 1.76, 1.97, 1.04, 2.35
3.69, 0.06, 2.20, 0.07, 1.49
1.15, 1.17, 1.39, 2.24, 2.93
5.63, 1.42, 4.56, 5.40, 6.51
3.48, 4.68, 3.86, 4.19, 8.03
5.92, 5.39, 8.12, 4.55, 6.79
7.39, 5.54, 4.74, 5.60, 9.15
0.09, 1.24, 1.42, 0.23, 2.34
1.14, -0.20, 0.83, 1.08, 0.53
1.09, 0.59, 1.24, 1.68, 0.19
1.31, 0.31, 1.42, -0.16, 0.53
0.47, 1.27, 1.58, -0.25, 0.10
""")
PARAMETRIC = table("""
2.8442988426, 2.5227395347, 2.3494203284, 1.8040207433, 2.8010145356
2.6538541988, 2.2750218634, 4.7542411722, 2.1934389831, 3.0369116895
3.3176573002, 2.5833700533, 2.7280349310, 1.7648211434, 3.2354643583
4.3204704352, 0.8603097628, 2.9608035813, 0.8116530869, 2.3599782448
1.8156152634, 1.9819743568, 2.1537566654, 2.9382313811, 3.8148799767
2.5973130177, -0.2333426933, 1.9825370506, 2.4091221163, 2.6115827525
1.1696242676, 1.8897097642, 1.5237874515, 1.5726802513, 3.6121020140
2.9547023846, 2.5245218764, 4.6566007045, 1.7817678496, 3.0134114396
3.9308430649, 2.6222083391, 2.4414954973, 2.5076058317, 4.5668492404
1.6181835591, 2.7024755936, 2.7126392731, 1.7029027045, 4.7421050738
3.1693642045, 0.9323897945, 2.2838090016, 2.6058260645, 2.7534982522
3.1030983187, 1.9981628758, 2.8592512707, 3.2498569187, 2.3617515139
3.2350711721, 1.4478313333, 2.7126392731, 1.2842826492, 2.6566297905
2.2814013350, 2.9155371736, 3.3364472988, 1.1782243377, 2.2580538479
""")
NONPARAMETRIC = table("""
2.9166499167, 2.4110406587, 2.3042863642, 1.6810816952, 2.6475547983
2.7198314516, 2.2205110983, 4.6780245779, 2.1011716632, 2.9220323230
3.3944385603, 2.4669990208, 2.6745865240, 1.6395620981, 3.0401615185
4.4020456341, 0.9148159813, 2.9239711891, 0.6376058644, 2.3102962705
1.8737473953, 1.9500456813, 2.1346471641, 2.8900440086, 3.6250722639
2.9151899434, -0.2573197899, 2.0898409880, 2.7267906277, 3.6051919183
1.6393787812, 1.7348096010, 1.6657335205, 1.9741937483, 4.7382167295
3.2867490115, 2.3609635927, 4.6366894191, 2.1494091138, 3.9759453874
4.1590478061, 2.4526259880, 2.5888562189, 2.8024890505, 5.7351154891
2.0316599564, 3.2008310477, 2.5128034306, 1.6840413743, 3.8991251079
2.9888836088, 1.1229754047, 2.0999626488, 2.7853601525, 2.2580946837
2.9418946777, 2.4458775064, 2.6918182821, 3.5944508163, 1.9670492776
3.1781898743, 1.6434905988, 2.5128034306, 1.1581324428, 2.3497363284
2.3592319325, 3.5845780497, 3.1826253926, 0.9918758477, 1.8900078466
""")
GAPS = table("""
2.8076270437, 2.4853797118, 2.1046125540, 1.8076681353, 2.8208617644
nan, 2.2530802374, 4.1719492297, 2.1660758271, 3.0617689512
3.2453046983, 2.5447505940, 2.4150822706, 1.7708141608, 3.2497027218
4.2169500728, 0.8677596536, 2.7013032037, 0.8669732273, 2.3935749013
1.9009058172, 1.9661209736, 2.0395124920, 2.8663013418, 3.8296934562
2.6406533347, -0.4826018278, 2.5445538978, 2.4804978535, 2.5779058431
0.9527577157, 1.9154472068, 1.9171119477, 1.4318473307, 3.7433203217
2.9919090318, 2.5684452167, nan, 1.7266643382, 2.9270879278
4.1459585945, 2.6787848962, 2.7615855722, 2.6366503290, 4.7365472497
1.6510818471, 2.7798304987, 2.5167783983, 1.7005206175, 4.5946516324
3.2397822779, 1.0055467097, 1.9071172219, 2.6213960850, 2.6065545218
3.1732068801, 2.0748270385, 2.4699662467, 3.2803626241, 2.2174616268
3.2755215552, 1.5210574534, nan, 1.2721923671, 2.5233041622
2.3476719464, 2.9952202329, 2.9367190965, 1.1606869234, nan
""")
GAPS_NONPARAMETRIC = table("""
2.8715477245, 2.3362265670, 2.0311693991, 1.7074514747, 2.6949243026
nan, 2.2201724833, 4.2689891187, 2.0613537860, 2.9752454407
3.2770698038, 2.3861004288, 2.3762320631, 1.6709382854, 3.0734090881
4.2195741882, 1.0564490398, 2.6344817628, 0.7742638635, 2.3855133330
2.0736865185, 1.9791154842, 1.8989534527, 2.7551043826, 3.6529972659
2.9728905734, -0.6239498967, 2.5313644045, 2.6090123638, 3.4270925829
1.6542491314, 1.6533867753, 2.0317339795, 1.7904359698, 4.8393025742
3.3730939171, 2.2984019124, nan, 1.9923061610, 3.7281231581
4.2746766705, 2.4031873421, 2.8136276389, 2.7026410484, 5.9207649869
1.5724683135, 3.4930091660, 2.5982178537, 1.8260906192, 3.9535894682
3.1809929832, 1.8967006272, 1.9937153302, 2.8587826264, 2.2717416106
3.1138076088, 2.8172899694, 2.5164601896, 3.6107776079, 1.9670670554
3.2117914502, 2.4092774088, nan, 1.3372938812, 2.3316455130
2.2807089656, 3.6096959855, 2.9499559266, 1.1918604173, nan
""")
CONSTANT = table("""
2.8064575412, 2.4217958908, 2.2884418102, 1.7147932261, 3.0000000000
2.6385577831, 2.2050209665, 4.6412744720, 2.0864088973, 3.0000000000
3.2641459591, 2.4798984477, 2.6531498432, 1.6769402054, 3.0000000000
4.2500024211, 0.8492946391, 2.9137101055, 0.7520899165, 3.0000000000
1.8280678764, 1.9241919416, 2.1363061406, 2.8056162911, 3.0000000000
2.6761670781, -0.2785088571, 1.9927471370, 2.5946433102, 6.5100000000
1.2356124170, 1.8478305307, 1.5315481407, 1.7517003996, 8.0300000000
3.0323560961, 2.4828600121, 4.6758056361, 1.9634143319, 6.7900000000
4.0172934691, 2.5806977139, 2.4488733396, 2.6948937171, 9.1500000000
1.4320246307, 2.7900636102, 2.6691445607, 1.5776239690, 2.3400000000
3.0750222352, 0.9579085688, 2.2780987763, 2.4756744674, 0.5300000000
3.0057764175, 2.0755379440, 2.8923271833, 3.1156512279, 0.1900000000
3.1216225809, 1.4743733331, 2.6691445607, 1.1616390747, 0.5300000000
2.1471282789, 3.0375480391, 3.4016873256, 1.0570593150, 0.1000000000
""")
SINGLE = table("""
3.6228683002, 3.2989583113, 3.1009125470, 2.2888592134, 3.5928571922
3.4228683002, 3.0589583113, 5.5109125470, 2.6888592134, 3.8328571922
4.1028683002, 3.3589583113, 3.4809125470, 2.2488592134, 4.0228571922
5.1128683002, 1.6589583113, 3.7109125470, 1.2788592134, 3.1628571922
2.5728683002, 2.7689583113, 2.9009125470, 3.4488592134, 4.6028571922
3.1400974782, -0.9715892774, 2.1226514993, 3.2699002264, 3.6886953401
0.9900974782, 2.2884107226, 1.4226514993, 2.0599002264, 5.2086953401
3.4300974782, 2.9984107226, 5.6826514993, 2.4199002264, 3.9686953401
4.9000974782, 3.1484107226, 2.3026514993, 3.4699002264, 6.3286953401
3.3880295434, 3.5013834526, 4.1737265822, 2.3683922541, 4.4819331987
""")
SINGLE_NONPARAMETRIC = table("""
3.3004286287, 2.9372117856, 2.7482562883, 2.6617763259, 3.5983202347
3.1004286287, 2.6972117856, 5.1582562883, 3.0617763259, 3.8383202347
3.7804286287, 2.9972117856, 3.1282562883, 2.6217763259, 4.0283202347
4.7904286287, 1.2972117856, 3.3582562883, 1.6517763259, 3.1683202347
2.2504286287, 2.4072117856, 2.5482562883, 3.8217763259, 4.6083202347
3.7628643356, -0.9118788907, 2.4777216265, 2.6696505937, 3.6785205722
1.6128643356, 2.3481211093, 1.7777216265, 1.4596505937, 5.1985205722
4.0528643356, 3.0581211093, 6.0377216265, 1.8196505937, 3.9585205722
5.5228643356, 3.2081211093, 2.6577216265, 2.8696505937, 6.3185205722
3.3250581811, 4.2449713962, 4.3821007961, 2.2243083680, 4.5939146290
""")
UNPROTECTED = table("""
2.78093844257, 2.54596691432, 2.24458471154, 1.76290577222, 2.70730838446
2.56184241490, 2.25894038384, 4.89945860469, 2.18264310195, 2.99248011146
3.30676890897, 2.61772354694, 2.66319553287, 1.72093203924, 3.21824106201
4.41320384870, 0.58461895607, 2.91656524051, 0.70306901463, 2.19637570690
1.63068429732, 1.91211665952, 2.02426322663, 2.98014402846, 3.90740606894
2.67926687200, -0.05835857102, 2.12148699812, 2.40700911033, 2.76617257536
1.32653299580, 1.94763402807, 1.68673506244, 1.59347367852, 3.73195656911
2.86172865065, 2.38452198677, 4.33251112816, 1.83551727807, 2.94408015316
3.78662111485, 2.47682225974, 2.23328035301, 2.54147777674, 4.44358688030
1.64909438235, 2.90101822652, 3.09919844682, 1.68986936281, 4.64168101962
3.19267400611, 0.86617280415, 2.12735287503, 2.55742352856, 2.76821954484
3.11917021450, 1.98251161225, 2.80270318763, 3.16981470439, 2.41629860482
3.44258689757, 1.58684722457, 3.09919844682, 1.29181509852, 2.76821954484
2.20772319857, 2.94341083948, 3.36274978833, 1.19995642215, 2.32314306188
""")
# fmt: on

SITE = np.repeat([0, 1, 2], [5, 4, 5])
GROUP = np.array([0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0])


def gaps() -> Array:
    values = VALUES.copy()
    values[[1, 7, 12, 13], [0, 2, 2, 4]] = np.nan
    return values


def harmonised(values: Array, *, parametric: bool = True, n: int = 14) -> Array:
    """The values after ComBat with the group protected; batch in column 0, group in column 1."""
    out = ComBat(0, [1], parametric=parametric).fit_transform(np.c_[SITE, GROUP, values][:n])
    assert (out[:, 0] == GROUP[:n]).all()
    return np.asarray(out[:, 1:])


@pytest.mark.parametrize(
    ("values", "parametric", "expected"),
    [
        (VALUES, True, PARAMETRIC),
        (VALUES, False, NONPARAMETRIC),
        (gaps(), True, GAPS),
        (gaps(), False, GAPS_NONPARAMETRIC),
    ],
)
def test_the_numbers_are_those_of_sva(values: Array, parametric: bool, expected: Array) -> None:
    found = harmonised(values, parametric=parametric)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)
    assert (np.isnan(found) == np.isnan(values)).all()


def test_without_covariates_the_numbers_are_those_of_sva() -> None:
    found = ComBat().fit_transform(np.c_[SITE, VALUES])
    np.testing.assert_allclose(found, UNPROTECTED, rtol=1e-8, atol=1e-9)


def test_a_feature_that_is_constant_within_a_batch_passes_through_as_in_sva() -> None:
    values = VALUES.copy()
    values[SITE == 0, 4] = 3
    combat = ComBat(0, [1]).fit(np.c_[SITE, GROUP, values])
    found = combat.transform(np.c_[SITE, GROUP, values])[:, 1:]
    np.testing.assert_allclose(found, CONSTANT, rtol=1e-8, atol=1e-9)
    assert combat.unadjusted_ == [6]
    assert (found[:, 4] == values[:, 4]).all()


@pytest.mark.parametrize(("parametric", "expected"), [(True, SINGLE), (False, SINGLE_NONPARAMETRIC)])
def test_a_batch_of_one_is_corrected_in_its_mean_as_in_sva(parametric: bool, expected: Array) -> None:
    """The other batches keep their spread correction here; sva would turn it off for all of them."""
    combat = ComBat(0, [1], parametric=parametric).fit(np.c_[SITE, GROUP, VALUES][:10])
    found = harmonised(VALUES, parametric=parametric, n=10)
    np.testing.assert_allclose(found[9], expected[9], rtol=1e-8)
    assert combat.spread_[2] == pytest.approx(np.ones(5), abs=1e-12)
    assert np.abs(found[:9] - expected[:9]).max() > 0.01


@pytest.mark.shared
@pytest.mark.parametrize("kind", ["par", "nonpar"])
def test_a_larger_matrix_agrees_with_sva(shared_data: Path, kind: str) -> None:
    """Features in rows. Three batches of ten columns, a 0/1 covariate that alternates:

    ComBat(dat, batch=rep(1:3, each=10), mod=model.matrix(~rep(0:1, 15)), par.prior=TRUE or FALSE)
    """
    values, expected = (
        np.loadtxt(shared_data / name, delimiter=",", skiprows=1).T
        for name in ("combat_in.csv", f"combat_out_sva3.46_{kind}.csv")
    )
    batch, group = np.repeat([1, 2, 3], 10), np.tile([0, 1], 15)
    found = ComBat(0, [1], parametric=kind == "par").fit_transform(np.c_[batch, group, values])[:, 1:]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-11)


# ---- scikit-learn's contract

MISSING_BATCH = {
    "check_estimators_pickle": "it deletes names of batches at random (the first columns), and a row without a batch "
    "is refused; pickling is tested below",
}


@parametrize_with_checks(
    [ComBat(), ComBat(parametric=False), ComBat(unseen="shrink"), ComBat(batch=1)],
    expected_failed_checks=lambda estimator: MISSING_BATCH,
)
def test_scikit_learn_s_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("values", [VALUES, gaps()])
def test_pickled_it_gives_the_same(values: Array) -> None:
    x = np.c_[SITE, GROUP, values]
    combat = ComBat(0, [1]).fit(x)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(combat)).transform(x), combat.transform(x))


def frame(values: Array = VALUES) -> pd.DataFrame:
    data = pd.DataFrame(values, columns=["CRP", "IL-6", "TNF", "IL-10", "IL-8"])
    data.insert(1, "depressed", GROUP)
    data.insert(3, "site", np.array(["Graz", "Oslo", "Turin"])[SITE])
    return data


def test_a_data_frame_with_names() -> None:
    combat = ComBat("site", ["depressed"]).set_output(transform="pandas")
    found = combat.fit_transform(frame())
    assert list(found.columns) == ["CRP", "depressed", "IL-6", "TNF", "IL-10", "IL-8"]
    assert list(combat.get_feature_names_out()) == list(found.columns)
    assert combat.batches_ == ["Graz", "Oslo", "Turin"]
    np.testing.assert_allclose(found.drop(columns="depressed"), PARAMETRIC, rtol=1e-8, atol=1e-9)
    categorical = frame().astype({"site": "category"})
    np.testing.assert_array_equal(clone(combat).fit_transform(categorical), found)
    nullable = frame(gaps()).astype({"CRP": "Float64", "TNF": "Float64"})
    np.testing.assert_allclose(
        clone(combat).fit_transform(nullable).drop(columns="depressed"), GAPS, rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize(
    ("combat", "words"),
    [
        (ComBat("centre"), "no column 'centre'; X has CRP, depressed"),
        (ComBat(9), "no column 9; X has 7"),
        (ComBat("site", ["site"]), "a column stands twice"),
        (ComBat("site", "depressed"), r"expected a list such as \['depressed'\]"),
        (ComBat("depressed"), "a feature among CRP, IL-6, site.* is not a number"),
        (ComBat("site", unseen="guess"), "unseen='guess'; expected 'refuse' or 'shrink'"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_call_is_told(combat: ComBat, words: str) -> None:
    with pytest.raises(HarmonisationError, match=words):
        combat.fit(frame())


def test_batches_that_cannot_be_harmonised_are_refused() -> None:
    one = frame().assign(site="Graz")
    with pytest.raises(CrosstalkError, match="all rows are of batch 'Graz'"):
        ComBat("site").fit(one)
    own = frame().assign(site=np.arange(14))
    with pytest.raises(ValueError, match="14 different values in 14 rows; is it the batch"):
        ComBat("site").fit(own)
    unnamed = frame()
    unnamed.loc[[3, 5], "site"] = None
    with pytest.raises(HarmonisationError, match="2 rows name no batch, the first is row 4"):
        ComBat("site").fit(unnamed)


@pytest.mark.parametrize(
    ("covariates", "words"),
    [
        ({"patient": (SITE == 1) * 1.0}, "covariate patient is confounded with the batch"),
        ({"age": np.arange(14.0), "kit": SITE * 2.0}, "covariate kit is confounded with the batch"),
        ({"age": np.arange(14.0), "both": np.arange(14.0) + SITE}, "covariate age, both is confounded"),
        ({"age": np.arange(14.0), "months": np.arange(14.0) * 12}, "age, months determine one another"),
        ({"adult": np.ones(14)}, "covariate adult does not vary"),
        ({"age": np.r_[np.nan, np.arange(13.0)]}, "covariate age has missing values"),
    ],
)
def test_confounding_is_refused_with_the_reason(covariates: dict[str, Array], words: str) -> None:
    with pytest.raises(HarmonisationError, match=words):
        ComBat("site", list(covariates)).fit(frame().assign(**covariates))


# ---- held-out rows


def cohort(seed: int, n: int = 240, sites: int = 4, genes: int = 12) -> tuple[pd.DataFrame, Array, Array]:
    """Sites that differ in location, spread and share of depressed people; the truth without sites; the effect."""
    rng = np.random.default_rng(seed)
    site = rng.integers(sites, size=n)
    depressed = (rng.uniform(size=n) < np.linspace(0.2, 0.8, sites)[site]).astype(float)
    effect = np.where(np.arange(genes) % 2 == 0, 0.8, 0.0)
    clean = rng.standard_normal((n, genes)) + depressed[:, None] * effect
    shift, spread = rng.normal(0, 2, (sites, genes)), np.linspace(0.7, 1.6, sites)
    measured = (clean - depressed[:, None] * effect) * spread[site][:, None] + depressed[:, None] * effect + shift[site]
    data = pd.DataFrame(measured, columns=[f"g{j}" for j in range(genes)])
    return data.assign(site=[f"s{s}" for s in site], depressed=depressed), clean, effect


def test_site_effects_go_and_the_protected_effect_stays() -> None:
    """Learned on half of the rows, judged on the other half."""
    data, _, effect = cohort(1, n=1600)
    train, test = data[:800], data[800:]
    combat = ComBat("site", ["depressed"]).set_output(transform="pandas").fit(train)
    genes = [f"g{j}" for j in range(12)]

    def by_site(table: pd.DataFrame) -> tuple[Array, Array, Array]:
        """Effect of depression, differences of location between sites, ratio of spreads."""
        x = np.c_[pd.get_dummies(test["site"]), test["depressed"]].astype(float)
        coefficients = np.linalg.lstsq(x, table[genes].to_numpy(), rcond=None)[0]
        residual = table[genes].to_numpy() - x @ coefficients
        members = [(test["site"] == s).to_numpy() for s in sorted(set(test["site"]))]
        spreads = np.stack([residual[rows].std(axis=0) for rows in members])
        return coefficients[-1], coefficients[:-1].std(axis=0), spreads.max(axis=0) / spreads.min(axis=0)

    _, location_before, spread_before = by_site(test)
    kept, location, spread = by_site(combat.transform(test))
    assert np.median(location_before) > 1.2
    assert np.median(location) < 0.2  # standard error of a site's mean is about 0.07 in each half
    assert np.median(spread_before) > 1.7
    assert np.median(spread) < 1.35
    assert kept == pytest.approx(effect, abs=0.35)  # about four standard errors
    assert np.mean(kept - effect) == pytest.approx(0, abs=0.1)
    # without protection, part of the effect goes with the sites
    bare = ComBat("site").fit(train.drop(columns="depressed"))
    lost = bare.transform(test.drop(columns="depressed"))
    groups = [np.asarray(lost)[(test["depressed"] == g).to_numpy()].mean(axis=0) for g in (0, 1)]
    protected = [combat.transform(test)[genes][(test["depressed"] == g).to_numpy()].mean() for g in (0, 1)]
    assert (groups[1] - groups[0])[::2].mean() < (protected[1] - protected[0])[::2].mean() - 0.1


def test_no_value_of_a_held_out_row_reaches_another() -> None:
    data, _, _ = cohort(2)
    train, test = data[:120], data[120:]
    combat = ComBat("site", ["depressed"]).fit(train)
    before = {k: np.copy(v) for k, v in vars(combat).items() if isinstance(v, np.ndarray)}
    together = combat.transform(test)
    alone = np.concatenate([combat.transform(test.iloc[[i]]) for i in range(len(test))])
    np.testing.assert_array_equal(together, alone)
    changed = test.copy()
    changed.iloc[1:, :12] += 1000.0
    np.testing.assert_array_equal(combat.transform(changed)[0], together[0])
    for name, value in before.items():
        np.testing.assert_array_equal(vars(combat)[name], value)
    # one-shot harmonisation of everything would give the same rows other values
    assert np.abs(ComBat("site", ["depressed"]).fit_transform(data)[120:] - together).max() > 0.05


def test_in_cross_validation_an_outcome_of_noise_stays_unpredictable() -> None:
    data, _, _ = cohort(3)
    outcome = np.random.default_rng(4).standard_normal(len(data))
    pipeline = make_pipeline(ComBat("site", ["depressed"]), LinearRegression())
    predicted = cross_val_predict(pipeline, data, outcome, cv=5)
    assert np.corrcoef(predicted, outcome)[0, 1] < 0.15


def test_a_row_of_an_unseen_batch_is_refused_by_default() -> None:
    data, _, _ = cohort(5)
    new = data.iloc[:3].assign(site=["s0", "Lima", "Bonn"])
    with pytest.raises(HarmonisationError, match=r"2 rows of batches that were not trained on \(Bonn, Lima\)"):
        ComBat("site").fit(data.drop(columns="depressed")).transform(new.drop(columns="depressed"))


def test_a_row_of_an_unseen_batch_is_shrunk_to_the_grand_mean() -> None:
    """By hand for one row; and closer to the truth on average than the value as measured."""
    errors, raw = [], []
    for seed in range(12):
        data, clean, _ = cohort(seed, n=420, sites=7)
        new = (data["site"] == "s6").to_numpy()
        combat = ComBat("site", ["depressed"], unseen="shrink").fit(data[~new])
        found = np.asarray(combat.transform(data[new]))[:, :12]
        errors.append(np.mean((found - clean[new]) ** 2))
        raw.append(np.mean((data.loc[new, "g0":"g11"].to_numpy() - clean[new]) ** 2))
        depressed = data.loc[new, "depressed"].to_numpy()[0] - data.loc[~new, "depressed"].mean()
        middle = combat.grand_mean_ + depressed * combat.covariate_effects_[0]
        one = data.loc[new, "g0":"g11"].to_numpy()[0]
        np.testing.assert_allclose(found[0], middle + (one - middle) / (1 + combat.between_variance_))
    assert np.mean(errors) < 0.5 * np.mean(raw)
    known = data[~new]
    refusing = ComBat("site", ["depressed"]).fit(known)
    np.testing.assert_array_equal(combat.transform(known), refusing.transform(known))


def test_batches_alike_leave_an_unseen_one_nearly_alone() -> None:
    rng = np.random.default_rng(6)
    x = np.c_[np.repeat(np.arange(5), 60), rng.standard_normal((300, 8))]
    combat = ComBat(unseen="shrink").fit(x)
    assert combat.between_variance_.max() < 0.05
    new = np.c_[np.full(10, 9), rng.standard_normal((10, 8))]
    assert np.abs(combat.transform(new) - new[:, 1:]).max() < 0.2


# ---- gaps and small numbers


def test_a_feature_that_a_batch_lacks_is_harmonised_in_the_others() -> None:
    data, _, _ = cohort(7)
    full = ComBat("site", ["depressed"]).fit(data)
    holed = data.copy()
    holed.loc[holed["site"] == "s2", "g0"] = np.nan
    combat = ComBat("site", ["depressed"]).fit(holed)
    found, reference = combat.transform(holed), full.transform(data)
    lost = (data["site"] == "s2").to_numpy()
    assert np.isnan(found[lost, 0]).all()
    assert np.isfinite(found[~lost]).all()
    # its shift and spread are what the batch's other features have in common
    assert combat.shift_[2, 0] == pytest.approx(combat.shift_[2, 1:].mean(), abs=0.15)
    # up to the grand mean, which now is that of the other three
    centred = [v[~lost, 0] - v[~lost, 0].mean() for v in (found, reference)]
    assert np.abs(centred[0] - centred[1]).max() < 0.4


def test_values_too_few_to_tell_batch_from_covariate_are_refused() -> None:
    data, _, _ = cohort(8)
    data.loc[(data["site"] == "s1") != (data["depressed"] == 1), "g3"] = np.nan
    with pytest.raises(HarmonisationError, match=r"feature g3: in the .* rows that hold it, batch and covariates"):
        ComBat("site", ["depressed"]).fit(data)


@pytest.mark.parametrize("parametric", [True, False])
def test_one_feature_alone_takes_the_plain_estimates(parametric: bool) -> None:
    x = np.c_[SITE, VALUES[:, 0]]
    found = ComBat(parametric=parametric).fit_transform(x)[:, 0]
    groups = [found[s == SITE] for s in range(3)]
    for group in groups[1:]:
        assert group.mean() == pytest.approx(groups[0].mean())
        assert group.std(ddof=1) == pytest.approx(groups[0].std(ddof=1))


@pytest.mark.parametrize("parametric", [True, False])
def test_features_without_any_value_or_variation_pass_through(parametric: bool) -> None:
    x = np.c_[SITE, VALUES, np.full(14, np.nan), np.full(14, 2.5), np.r_[1.0, np.full(13, np.nan)], SITE]
    combat = ComBat(parametric=parametric).fit(x)
    assert combat.unadjusted_ == [6, 7, 8, 9]
    np.testing.assert_array_equal(combat.transform(x)[:, 5:], x[:, 6:])
    assert np.isfinite(combat.transform(x)[:, :5]).all()


def test_a_far_outlier_does_not_break_the_weights() -> None:
    """Where sva's likelihoods underflow to zero, their logarithms do not."""
    x = np.c_[SITE, VALUES]
    x[0, 1] = 1e6
    assert np.isfinite(ComBat(parametric=False).fit_transform(x)).all()

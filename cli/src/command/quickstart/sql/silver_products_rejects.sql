-- The others, as they came, with the reason in front.
INSERT INTO lake.silver.products_rejects
WITH checked AS (
  SELECT *,
    CASE
      WHEN TRY_CAST(price AS DECIMAL(10, 2)) IS NULL THEN 'price is not a number'
      WHEN TRY_CAST(price AS DECIMAL(10, 2)) <= 0 THEN 'price is not positive'
    END AS reason
  FROM lake.bronze.products
)
SELECT reason, product_id, name, category, price, added_on
FROM checked
WHERE reason IS NOT NULL

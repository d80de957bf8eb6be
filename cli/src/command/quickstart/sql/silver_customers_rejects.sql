-- The others, as they came, with the reason in front.
INSERT INTO lake.silver.customers_rejects
WITH checked AS (
  SELECT *,
    CASE
      WHEN name IS NULL THEN 'name is missing'
      WHEN TRY_CAST(signup_date AS DATE) IS NULL THEN 'signup_date is not a date'
    END AS reason
  FROM lake.bronze.customers
)
SELECT reason, customer_id, name, email, country, signup_date
FROM checked
WHERE reason IS NOT NULL
